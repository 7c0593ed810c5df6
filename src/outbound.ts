/** One outbound connection, top to bottom: from the application to its peer, over mutual TLS or not at all. */
import type { Context } from "./context.ts";
import type { Intercepted } from "./relay/intercepted.ts";
import { decide } from "./policy/destination.ts";
import { splice } from "./relay/splice.ts";
import { sendHeader } from "./original-source/exchange.ts";
import { originate } from "./tls/originate.ts";

/** Resolves when both sockets are closed. Rejects only on a bug. */
export async function serveOutbound(downstream: Intercepted, context: Context): Promise<void> {
  const record = context.registry.open("outbound", downstream);
  try {
    const verdict = decide(downstream.original);
    if (verdict.kind === "deny") return record.deny(verdict.reason);

    const peer = await originate(downstream, context.originator);
    if (peer.kind === "failed") {
      context.refusals.refuseFault(peer.fault);
      return record.unreachable(peer);
    }

    sendHeader(
      peer.leg,
      { source: downstream.peer, distinctPort: peer.distinctPort },
      downstream.original,
    );
    context.registry.authenticated(record, peer);
    record.relay(peer.leg);
    await splice(downstream.leg, peer.leg, context.limits.lingerMsMax);
  } finally {
    downstream.leg.terminate("");
    context.registry.close(record);
  }
}
