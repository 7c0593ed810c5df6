/** Carries bytes both ways between two legs until both are gone. */
import type { Stream } from "../net/stream.ts";

/**
 * Resolves when both sockets are gone. A half-close on one side becomes a half-close on the other, an RST an
 * RST; once both directions have ended each socket has `lingerMsMax` to close. Never rejects.
 */
export async function splice(
  downstream: Stream,
  upstream: Stream,
  lingerMsMax: number,
): Promise<void> {
  downstream.join(upstream, lingerMsMax);
  await Promise.all([downstream.gone, upstream.gone]);
}
