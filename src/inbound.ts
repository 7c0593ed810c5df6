/**
 * One inbound connection, top to bottom: from a client to the application at its own address. The client is a verified
 * peer, one whose plain text the port's mode admits, or a declared probe.
 */
import type { Context } from "./context.ts";
import type { ConnectionRecord } from "./connection/record.ts";
import { detect } from "./detect/first-bytes.ts";
import { describeFault } from "./net/fault.ts";
import { hostKey } from "./net/address.ts";
import type { Intercepted } from "./relay/intercepted.ts";
import { freePlaces, shareOf } from "./connection/admission.ts";
import { decide } from "./policy/destination.ts";
import type { PlainMode } from "./policy/policy.ts";
import { probesOf } from "./probe/probe.ts";
import { Screening } from "./detect/screening.ts";
import { splice } from "./relay/splice.ts";
import { candidatesOf, type Facts } from "./original-source/candidates.ts";
import { readHeader } from "./original-source/exchange.ts";
import type { ClientAddress } from "./original-source/proxy-header.ts";
import { connectApplication } from "./original-source/connect.ts";
import { terminate, type Terminated } from "./tls/terminate.ts";
import type { Visit } from "./tls/visit.ts";

/** Resolves when both sockets are closed. The application is not dialled before the peer is admitted. */
export async function serveInbound(downstream: Intercepted, context: Context): Promise<void> {
  const record = context.registry.open("inbound", downstream);
  const release = context.source.wire.add(downstream.peer, downstream.original);
  const visit = context.unverified.enter(downstream.leg, {
    source: record.source,
    host: hostKey(downstream.peer),
  });
  try {
    const verdict = decide(downstream.original);
    if (verdict.kind === "deny") return record.deny(verdict.reason);

    const peer = await receive(downstream, visit, context);
    context.unverified.leave(visit);
    if (peer.kind === "refuse") {
      record.refuse(peer);
      if (peer.notified) await downstream.leg.dismiss(context.limits.dismissMsMax);
      return;
    }
    if (peer.kind === "probe") {
      record.probe = peer.probe;
      const { refusal } = peer.probe;
      if (refusal !== null) return record.refuse({ reason: null, detail: refusal.detail });
    } else if (peer.kind === "plain")
      context.registry.admittedPlaintext(record, peer.mode, peer.speaks);
    else {
      context.registry.authenticated(record, peer);
      if (isOneTooMany(record, context)) {
        downstream.leg.terminate("SHARE");
        context.refusals.refuseFault("SHARE");
        return record.refuse({ reason: null, detail: describeFault("SHARE") });
      }
    }

    const header = await readHeader(downstream.leg, context.limits.handshakeMsMax);
    if (header.kind === "refuse") return record.refuse(header);

    const candidates = candidatesOf(
      factsOf(downstream, context, { header, plain: peer.kind === "plain" }),
    );
    const { source } = context;
    const socketOptions = { ...source.socketOptions, neighbour: record.identity !== null };
    const application = await connectApplication(downstream, candidates, {
      ...source,
      socketOptions,
      trying: (candidate) => {
        record.attempt(candidate);
      },
    });
    if (application.kind === "failed") {
      context.refusals.refuseFault(application.fault);
      fail(record, application);
      return;
    }

    context.registry.connected(record, application);
    await splice(downstream.leg, application.leg, context.limits.lingerMsMax);
  } finally {
    downstream.leg.terminate("");
    release();
    context.unverified.leave(visit);
    context.registry.close(record);
  }
}

/** Whether its peer has more connections than its share: the address may have fewer than its own. */
function isOneTooMany(record: ConnectionRecord, { registry, budget }: Context): boolean {
  const before = { live: registry.size - 1, inbound: registry.inbound - 1 };
  return registry.ofHolder(record) - 1 >= shareOf(freePlaces(before, budget()));
}

/** If a probe's client has sent anything else meanwhile, that has ended the connection: it is the reason. */
function fail(record: ConnectionRecord, { detail }: { readonly detail: string }): void {
  const refusal = record.probe?.refusal ?? null;
  if (refusal === null) record.unreachable({ reason: null, detail });
  else record.refuse({ reason: null, detail: refusal.detail });
}

function factsOf(
  { peer, original }: Intercepted,
  { policy, source }: Context,
  {
    header: { clientAddress },
    plain,
  }: { readonly header: { readonly clientAddress: ClientAddress | null }; readonly plain: boolean },
): Facts {
  const now = policy();
  return {
    mode: now.sourceMode(original.port, plain),
    wire: peer,
    clientAddress,
    original,
    returns: (client) => source.returns(now, client),
    onWire: (client) => source.wire.has(client, original),
    silent: source.silent.has(peer, original),
    standing: source.standing(peer.family),
    sparePort: () => source.spare.next(),
  };
}

/**
 * A strict port's connections are TLS, except the node's probes. On an inspected port the first bytes decide,
 * together with the mode at that moment.
 */
async function receive(downstream: Intercepted, visit: Visit, context: Context): Promise<Received> {
  const { leg, original } = downstream;
  const { limits, policy, terminating, unverified } = context;
  const began = performance.now();
  leg.socket.spoken = policy().spoken(original.port);
  const left = (): number => Math.max(1, limits.handshakeMsMax - (performance.now() - began));
  if (downstream.undecided) {
    const first = await detect(leg, limits);
    const mode = policy().mode(original.port);
    const declared = probesOf(context.probes, downstream.peer, original.port);
    if (first === "ours") {
      await unverified.turn(visit, left());
      leg.startTls(terminating());
    } else if (mode === "strict" && declared.length > 0) {
      unverified.leave(visit);
      const probe = new Screening(declared);
      await probe.begin(leg, first, left());
      return { kind: "probe", probe };
    } else if (first === "gone") leg.terminate("");
    else if (mode === "strict") return { ...plainText, kind: "refuse" };
    else {
      leg.startPlain();
      return {
        kind: "plain",
        mode: mode === "audit" ? "audit" : "permissive",
        speaks: first !== "ended",
      };
    }
  } else {
    await unverified.turn(visit, left());
    leg.resume();
  }
  return await terminate(leg, left(), () => policy().client(original.port), visit);
}

type Received =
  | Terminated
  | { readonly kind: "plain"; readonly mode: PlainMode; readonly speaks: boolean }
  | { readonly kind: "probe"; readonly probe: Screening };

/** Plain text on a port whose mode became strict while the first bytes were arriving. */
const plainText = {
  reason: "not-tls",
  detail: "plain text, and the port is strict",
  notified: false,
} as const;
