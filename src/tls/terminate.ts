/** Terminates a peer's TLS: nothing is known of the peer until this has returned. */
import type { PeerIdentity } from "../identity/certificate.ts";
import { HandshakeDeadline } from "../relay/handshake-deadline.ts";
import type { Leg } from "../relay/leg.ts";
import { failureOf, type HandshakeFailure } from "./failure.ts";
import { judgePeer } from "./peer.ts";
import type { Visit } from "./visit.ts";
import type { Expectation } from "../policy/authorize.ts";

export type Terminated =
  | { readonly kind: "accept"; readonly identity: PeerIdentity; readonly resumed: boolean }
  | RefusedPeer;

export type RefusedPeer = {
  readonly kind: "refuse";
  readonly reason: HandshakeFailure | null;
  readonly detail: string;
  /** The TLS library has sent the peer an alert, which an RST could overtake, or the connection is closed already. */
  readonly notified: boolean;
};

/**
 * Waits for the handshake, within its deadline, and judges the peer's certificate by our own rules: `expect` is
 * evaluated at that time. `visit` may end the handshake earlier.
 */
export async function terminate(
  downstream: Leg,
  handshakeMsMax: number,
  expect: () => Expectation,
  visit: Pick<Visit, "deadline">,
): Promise<Terminated> {
  const deadline = new HandshakeDeadline(downstream, handshakeMsMax, "server");
  visit.deadline = deadline;
  const readiness = await downstream.ready;
  deadline.clear();
  if (readiness.kind === "closed") {
    const { fault } = readiness;
    return {
      kind: "refuse",
      reason: failureOf(fault),
      detail: deadline.describe(fault),
      notified: true,
    };
  }
  const verdict = judgePeer(downstream.socket, "client", readiness.handshakeError, expect());
  if (verdict.kind === "accept") return { ...verdict, resumed: downstream.socket.isResumed };
  // The library sends no alert for its own objections to a certificate: an end would look like the application's.
  return { ...verdict, notified: readiness.failed };
}
