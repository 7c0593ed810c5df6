/** One inbound connection, top to bottom: from a verified peer to the application at its own address. */
import type { Context } from "./context.ts";
import { firstBytes } from "./inspect/first-bytes.ts";
import type { Intercepted } from "./net/listener.ts";
import { decide } from "./policy/destination.ts";
import type { PlainMode } from "./policy/policy.ts";
import { splice } from "./relay/splice.ts";
import { attemptsOf, type Facts } from "./source/attempts.ts";
import { hear } from "./source/hear.ts";
import type { Told } from "./source/preamble.ts";
import { reach } from "./source/reach.ts";
import { terminate, type Terminated } from "./tls/terminate.ts";

/** Resolves when both sockets are gone. The application is not dialed before the peer is let in. */
export async function serveInbound(downstream: Intercepted, context: Context): Promise<void> {
  const record = context.ledger.open("inbound", downstream);
  const release = context.source.wire.hold(downstream.peer, downstream.original);
  try {
    const verdict = decide(downstream.original);
    if (verdict.kind === "deny") return record.deny(verdict.reason);

    const peer = await receive(downstream, context);
    if (peer.kind === "refuse") {
      record.refuse(peer);
      if (peer.told) await downstream.stream.dismiss(context.limits.dismissMsMax);
      return;
    }
    if (peer.kind === "plain") context.ledger.letIn(record, peer.mode, peer.speaks);
    else context.ledger.meet(record, peer.identity);

    const heard = await hear(downstream.stream, context.limits.handshakeMsMax);
    if (heard.kind === "refuse") return record.refuse(heard);

    const attempts = attemptsOf(factsOf(downstream, heard.told, context));
    const application = await reach(downstream, attempts, context.source);
    if (application.kind === "failed") return record.miss({ ...application, reason: null });

    context.ledger.reach(record, application);
    await splice(downstream.stream, application.stream, context.limits.lingerMsMax);
  } finally {
    downstream.stream.terminate("");
    release();
    context.ledger.close(record);
  }
}

function factsOf(
  { peer, original }: Intercepted,
  told: Told | null,
  { rules, source }: Context,
): Facts {
  const now = rules();
  return {
    mode: now.sourceMode(original.port),
    wire: peer,
    told,
    original,
    returns: (client) => source.returns(now, client),
    onWire: (client) => source.wire.has(client, original),
    silent: source.silent.has(original.port),
    sparePort: () => source.spare.next(),
  };
}

/** A strict port's connections are TLS. On an inspected port the first bytes tell, and the mode of this moment decides. */
async function receive(downstream: Intercepted, context: Context): Promise<Received> {
  const { stream, original } = downstream;
  const { limits, rules, terminating } = context;
  const began = performance.now();
  if (downstream.undecided) {
    const first = await firstBytes(stream, limits);
    const mode = rules().mode(original.port);
    if (first === "ours") stream.startTls(terminating());
    else if (first === "gone") stream.terminate("");
    else if (mode === "strict") return { ...plainText, kind: "refuse" };
    else {
      stream.startPlain();
      return {
        kind: "plain",
        mode: mode === "audit" ? "audit" : "permissive",
        speaks: first !== "ended",
      };
    }
  }
  const left = Math.max(1, limits.handshakeMsMax - (performance.now() - began));
  return await terminate(stream, left, () => rules().client(original.port));
}

type Received =
  Terminated | { readonly kind: "plain"; readonly mode: PlainMode; readonly speaks: boolean };

/** The policy has become strict while the first bytes were on their way. */
const plainText = {
  reason: "not-tls",
  detail: "plain text, and the port is strict",
  told: false,
} as const;
