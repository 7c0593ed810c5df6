/** Passes Bun's events to the leg they belong to. Shared by all sockets: nothing is allocated per connection. */
import type { Socket, SocketHandler } from "bun";

import { quoteUnlessPlain } from "../runtime/log/escape.ts";
import * as native from "../native/native.ts";
import { faultFrom, type Fault } from "./fault.ts";
import { choose } from "./protocols.ts";
import type { LegSocket } from "./leg-socket.ts";

/** Every handler is synchronous and has `error` beside it: an exception ends a leg, never the process. */
export const socketHandlers = {
  binaryType: "uint8array",
  data: (socket, chunk) => {
    socket.data.owner.onData(chunk);
  },
  drain: (socket) => {
    socket.data.owner.onDrain();
  },
  end: (socket) => {
    socket.data.owner.onEnd();
  },
  close: (socket, error) => {
    socket.data.onClose(faultOf(error));
  },
  error: (socket, error) => {
    socket.data.owner.onFault(faultOf(error));
  },
  handshake: (socket, success, error) => {
    quickAck(socket);
    socket.data.owner.onReady(handshakeErrorOf(success, error), !success);
  },
} satisfies SocketHandler<LegSocket>;

/** For sockets that terminate TLS. */
export const terminatingHandlers = {
  ...socketHandlers,
  alpnCallback: (socket, _serverName, offered) => choose(offered, socket.data.spoken),
} satisfies SocketHandler<LegSocket>;

/** A foreign peer with Nagle waits 41 ms for its first answer unless the handshake is acknowledged at once. */
function quickAck(socket: Socket<LegSocket>): void {
  if (socket.fd >= 0) native.setQuickAck(socket.fd);
}

function handshakeErrorOf(success: boolean, error: unknown): Fault | null {
  const fault = faultOf(error);
  if (fault !== "") return fault;
  return success ? null : "HANDSHAKE_FAILED";
}

/**
 * The error's code if there is one ("ECONNRESET"), else its text; "" for no error. All errors of the TLS library have
 * the code EPROTO, and their reason is the last part of the text: "error:…:OPENSSL_internal:HTTP_REQUEST".
 */
export function faultOf(error: unknown): Fault {
  if (typeof error === "string") return faultFrom(error);
  if (typeof error !== "object" || error === null) return "";
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === "EPROTO" && typeof message === "string")
    return faultFrom(tlsReasonOf(message) || code);
  if (code === "UNSPECIFIED" && typeof message === "string")
    return faultFrom(verifyFaults.get(message) ?? code);
  if (typeof code === "string" && code !== "") return faultFrom(code);
  if (typeof message !== "string" || message === "") return "UNKNOWN";
  return faultFrom(quoteUnlessPlain(message));
}

/** "HTTP_REQUEST" of "error:…:OPENSSL_internal:HTTP_REQUEST", or "". */
export function tlsReasonOf(message: string): string {
  return tlsReason.exec(message)?.[1] ?? "";
}

/** Errors for which Bun has no code, by the TLS library's text: x509.h, X509_V_ERR_*. */
const verifyFaults = new Map([
  ["unhandled critical extension", "UNHANDLED_CRITICAL_EXTENSION"],
  ["invalid or inconsistent certificate extension", "INVALID_EXTENSION"],
  ["invalid or inconsistent certificate policy extension", "INVALID_POLICY_EXTENSION"],
  ["no explicit policy", "NO_EXPLICIT_POLICY"],
  ["permitted subtree violation", "PERMITTED_VIOLATION"],
  ["excluded subtree violation", "EXCLUDED_VIOLATION"],
  ["name constraints minimum and maximum not supported", "SUBTREE_MINMAX"],
  ["unsupported name constraint type", "UNSUPPORTED_CONSTRAINT_TYPE"],
  ["unsupported or invalid name constraint syntax", "UNSUPPORTED_CONSTRAINT_SYNTAX"],
  ["unsupported or invalid name syntax", "UNSUPPORTED_NAME_SYNTAX"],
]);
const tlsReason = /:([A-Z0-9_]{3,80})[^:A-Z]*$/;
