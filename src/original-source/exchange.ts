/** The preamble's way over a connection: who connects tells it, who has accepted hears it. */
import { ProxyError } from "../runtime/errors.ts";
import type { SocketAddress } from "../net/address.ts";
import { HandshakeDeadline } from "../net/handshake-deadline.ts";
import { tellingProtocol } from "../net/protocols.ts";
import { protocolOf } from "../tls/session.ts";
import type { Stream } from "../net/stream.ts";
import { failureOf, type HandshakeFailure } from "../tls/failure.ts";
import { decodePreamble, encodePreamble, preambleLength, type Told } from "./proxy-header.ts";

/** Says where the application's connection comes from, to a peer that has agreed to hear it. */
export function tell(peer: Stream, told: Told, original: SocketAddress): void {
  if (protocolOf(peer) === tellingProtocol) peer.say(encodePreamble(told, original));
}

export type Heard =
  /** Null: nobody has told it, because the peer is no proxy of ours or speaks for itself. */
  | { readonly kind: "heard"; readonly told: Told | null }
  | { readonly kind: "refuse"; readonly reason: HandshakeFailure | null; readonly detail: string };

/** From a verified peer, within `msMax`. What it says is checked against the wire before it is believed: attempts.ts. */
export async function hear(peer: Stream, msMax: number): Promise<Heard> {
  if (protocolOf(peer) !== tellingProtocol) return { kind: "heard", told: null };
  const deadline = new HandshakeDeadline(peer, msMax, "server");
  try {
    const bytes = await peer.take(preambleLength);
    if (bytes !== null) return { kind: "heard", told: decodePreamble(bytes) };
    const { fault } = peer;
    return { kind: "refuse", reason: failureOf(fault), detail: deadline.describe(fault) };
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return { kind: "refuse", reason: "bad-preamble", detail: error.message };
  } finally {
    deadline.clear();
  }
}
