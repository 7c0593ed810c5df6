/** The PROXY protocol header on a connection: the side that connects sends it, the side that accepts reads it. */
import { ProxyError } from "../runtime/errors.ts";
import type { SocketAddress } from "../net/address.ts";
import { HandshakeDeadline } from "../relay/handshake-deadline.ts";
import { headerProtocol } from "../net/protocols.ts";
import type { Leg } from "../relay/leg.ts";
import { failureOf, type HandshakeFailure } from "../tls/failure.ts";
import { decodeHeader, encodeHeader, headerLength, type ClientAddress } from "./proxy-header.ts";

/** Sends the source of the application's connection to a peer that has agreed to it. */
export function sendHeader(peer: Leg, clientAddress: ClientAddress, original: SocketAddress): void {
  if (peer.socket.protocol === headerProtocol) peer.say(encodeHeader(clientAddress, original));
}

export type ReceivedHeader =
  /** Null: no header was sent, because the peer is not one of our proxies, or connects for itself. */
  | { readonly kind: "received"; readonly clientAddress: ClientAddress | null }
  | { readonly kind: "refuse"; readonly reason: HandshakeFailure | null; readonly detail: string };

/** Reads it from a verified peer, within `msMax`. The claim is checked against the wire before use: candidates.ts. */
export async function readHeader(peer: Leg, msMax: number): Promise<ReceivedHeader> {
  if (peer.socket.protocol !== headerProtocol) return { kind: "received", clientAddress: null };
  const deadline = new HandshakeDeadline(peer, msMax, "server");
  try {
    const bytes = await peer.take(headerLength);
    if (bytes !== null) return { kind: "received", clientAddress: decodeHeader(bytes) };
    const { fault } = peer;
    return { kind: "refuse", reason: failureOf(fault), detail: deadline.describe(fault) };
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return { kind: "refuse", reason: "bad-proxy-header", detail: error.message };
  } finally {
    deadline.clear();
  }
}
