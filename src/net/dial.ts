/** Connections that the proxy makes itself: marked, so that they are never intercepted. */
import type { TLSOptions } from "bun";

import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, portedAs, type SocketAddress } from "./address.ts";
import { faultFrom, type Fault } from "./fault.ts";
import { faultOf, socketHandlers } from "./handlers.ts";
import { LegSocket } from "./leg-socket.ts";
import { bindOrigin, type Origin } from "./origin.ts";
import type { Rotation } from "./ports.ts";
import { applyOptions, type SocketOptions } from "./socket-options.ts";

/** A connect(2) in progress; no handler has the socket yet. */
export type Dialing = { readonly fd: number };

/** Starts to connect, from `origin`. Throws SystemCallError if the kernel refuses at once (no route, EMFILE). */
export function beginDial(address: SocketAddress, of: SocketOptions, origin: Origin): Dialing {
  const fd = native.openStream(familyOf(address));
  try {
    applyOptions(fd, of, familyOf(address));
    bindOrigin(fd, origin);
    // Not before bind(2), which must refuse foreign addresses. Arriving packets are recognised as ours by it:
    // intercept/rules/inbound.ts.
    if (of.mark !== null && origin.kind !== "client") native.setTransparent(fd, familyOf(address));
    native.beginConnect(fd, encodeSocketAddress(address));
  } catch (error) {
    native.close(fd);
    throw error;
  }
  return { fd };
}

function familyOf({ family }: SocketAddress): native.AddressFamily {
  return family === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
}

export type Originating = {
  readonly tls: TLSOptions;
  /** The ticket of a session to resume. */
  readonly ticket: Buffer | null;
};

/**
 * Hands the connection to Bun, and with `originating` originates TLS on it. Every failure is reported as its socket's
 * close, and nothing before the caller has set its owner.
 */
export function legSocketOf(dialing: Dialing, originating: Originating | null): LegSocket {
  const tls = originating?.tls ?? null;
  const socket = new LegSocket(tls !== null);
  socket.ticket = originating?.ticket ?? null;
  const connecting = Bun.connect<LegSocket>({
    fd: dialing.fd,
    data: socket,
    allowHalfOpen: true,
    ...(tls === null ? {} : { tls }),
    socket: dialHandlers,
  });
  void connecting.catch((error: unknown) => {
    socket.onClose(faultOf(error));
  });
  return socket;
}

/** A connection in progress, or the error name of the kernel's refusal: no route, no descriptor, no port. */
export function tryDial(
  address: SocketAddress,
  of: SocketOptions,
  origin: Origin,
): Dialing | Fault {
  try {
    return beginDial(address, of, origin);
  } catch (error) {
    if (error instanceof SystemCallError) return faultFrom(errnoName(error.errno));
    throw error;
  }
}

export type DialedFrom = {
  readonly dialing: Dialing | Fault;
  /** Its port on the wire is outside the range given to applications. */
  readonly distinctPort: boolean;
};

/**
 * A connection in progress from the application's own address, with one of `ports`; with any port if those are used
 * up, and from any address if that one is not ours.
 */
export function dialFrom(
  source: SocketAddress,
  to: SocketAddress,
  { socketOptions: of, ports }: { readonly socketOptions: SocketOptions; readonly ports: Rotation },
): DialedFrom {
  for (let turn = 0; turn < portsTried; turn += 1) {
    const port = ports.next();
    if (port === null) break;
    const dialing = tryDial(to, of, { kind: "own", address: portedAs(source, port) });
    if (!isUnbindable(dialing)) return { dialing, distinctPort: true };
  }
  const dialing = tryDial(to, of, { kind: "own", address: portedAs(source, 0) });
  if (!isUnbindable(dialing)) return { dialing, distinctPort: false };
  return { dialing: tryDial(to, of, { kind: "any" }), distinctPort: false };
}

/** The port is taken, or in TIME_WAIT for the same destination; or the address is not ours. */
function isUnbindable(dialing: Dialing | Fault): boolean {
  return dialing === "EADDRINUSE" || dialing === "EADDRNOTAVAIL";
}

/** Each attempt costs a socket. */
const portsTried = 8;

/** Gives up a connection that no handler watches. */
export function abandon(dialing: Dialing): void {
  native.close(dialing.fd);
}

const dialHandlers = {
  ...socketHandlers,
  open: (socket: Bun.Socket<LegSocket>) => {
    const { ticket } = socket.data;
    socket.data.ticket = null;
    socket.data.attach(socket);
    if (ticket !== null && !socket.data.owner.closed) socket.setSession(ticket);
  },
  session: (socket: Bun.Socket<LegSocket>, ticket: Buffer) => {
    // A resumed session of TLS 1.2 has no forward secrecy.
    if (socket.getTLSVersion() === "TLSv1.3") socket.data.keepTicket?.(ticket);
  },
};
