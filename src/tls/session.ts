/** What the TLS library says of the session on a leg whose handshake is over. */
import type { Stream } from "../net/stream.ts";

/** What was spoken of by ALPN (RFC 7301), "" for nothing. */
export function protocolOf({ socket }: Stream): string {
  const protocol = socket?.alpnProtocol;
  return typeof protocol === "string" ? protocol : "";
}

/** Whether the session is one of before (RFC 8446, 2.2). */
export function isResumed({ socket }: Stream): boolean {
  return socket?.isSessionReused() ?? false;
}
