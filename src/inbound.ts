/** One inbound connection, top to bottom: from a verified peer to the application at its own address. */
import type { Context } from "./context.ts";
import { reach } from "./net/dial.ts";
import type { Intercepted } from "./net/listener.ts";
import { decide } from "./policy/destination.ts";
import { splice } from "./relay/splice.ts";
import { terminate } from "./tls/terminate.ts";

/** Resolves when both sockets are gone. The application is not dialed before the peer is verified. */
export async function serveInbound(downstream: Intercepted, context: Context): Promise<void> {
  const record = context.ledger.open("inbound", downstream);
  try {
    const verdict = decide(downstream.original);
    if (verdict.kind === "deny") return record.deny(verdict.reason);

    const peer = await terminate(downstream.stream, context.limits, context.expectClient);
    if (peer.kind === "refuse") {
      record.refuse(peer);
      if (peer.told) await downstream.stream.dismiss(context.limits.dismissMsMax);
      return;
    }
    context.ledger.meet(record, peer.identity);

    const application = await reach(downstream, context);
    if (application.kind === "failed") return record.miss({ ...application, reason: null });

    record.relay(application.stream);
    await splice(downstream.stream, application.stream, context.limits.lingerMsMax);
  } finally {
    downstream.stream.terminate("");
    context.ledger.close(record);
  }
}
