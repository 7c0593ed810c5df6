/** Carries bytes both ways between two legs until both are gone. */
import type { Leg } from "./leg.ts";
import { Relay } from "./relay.ts";

/**
 * Resolves when both sockets are closed. A half-close on one side becomes a half-close on the other, an RST an RST;
 * once both directions have ended each socket has `lingerMsMax` to close. Never rejects.
 */
export async function splice(downstream: Leg, upstream: Leg, lingerMsMax: number): Promise<void> {
  new Relay(downstream, upstream, lingerMsMax).begin();
  await Promise.all([downstream.gone, upstream.gone]);
}
