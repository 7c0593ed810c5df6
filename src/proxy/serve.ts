/** Passes diverted connections to inbound.ts or outbound.ts, within the limits of admission. */
import type { TLSOptions } from "bun";

import { namingSpot, spotsOf, type Spot, type Sockets, type UnservedSockets } from "./sockets.ts";
import { orNamingFiles, type Renew } from "../reload/in-force.ts";
import { startListening, tryListening, type Listener } from "../net/listener.ts";
import type { Config } from "../config.ts";
import type { Context } from "../context.ts";
import { serveInbound } from "../inbound.ts";
import type { Log } from "../runtime/log/log.ts";
import { hostKey, sourceKey, type SocketAddress } from "../net/address.ts";
import { serveOutbound } from "../outbound.ts";
import { admitInbound, admitOutbound, type Admission } from "../connection/admission.ts";
import { intercept } from "../relay/intercepted.ts";
import type { Unverified } from "../tls/unverified.ts";
import type { VisitOrigin } from "../tls/visit.ts";

export type Serving = {
  readonly config: Config;
  readonly context: Context;
  readonly log: Log;
};

/** Serves the connections of these sockets, which the listeners own from then on. Throws CREDENTIALS_INVALID, START_FAILED. */
export function startListeners(
  serving: Serving,
  unserved: UnservedSockets,
  undo: DisposableStack,
): readonly Listener[] {
  return spotsOf(serving.config).flatMap((spot) => {
    const fd = unserved.take(spot.place);
    if (fd === undefined) return [];
    const listener = orNamingFiles(serving.config, () =>
      namingSpot(spot, () => startListener(serving, spot, fd)),
    );
    undo.defer(listener.stop);
    return [listener];
  });
}

/** Makes all listeners terminate TLS with other credentials: `InForce`. */
export function renewing(config: Config, listeners: readonly Listener[]): Renew {
  return (terminating) => {
    orNamingFiles(config, () => {
      for (const listener of listeners) listener.renew(terminating);
    });
  };
}

/**
 * Serves these sockets for a moment, in which nothing is accepted, because the process that will serve them can no longer
 * undo anything. Throws CREDENTIALS_INVALID, START_FAILED.
 */
export function assertServable(config: Config, tls: TLSOptions, places: Sockets["places"]): void {
  const { backlogMax } = config.limits;
  const fds = new Map(places);
  for (const spot of spotsOf(config)) {
    const { place, kind } = spot;
    const fd = fds.get(place);
    if (fd === undefined) continue;
    orNamingFiles(config, () => {
      const takes = kind === "tls" ? { kind, tls } : { kind };
      const options = { fd, backlogMax, takes, accept: () => undefined, admit: () => false };
      namingSpot(spot, () => {
        tryListening(options);
      });
    });
  }
}

function startListener({ context, log }: Serving, { kind }: Spot, fd: number): Listener {
  const direction = kind === "plain" ? "outbound" : "inbound";
  const serve = kind === "plain" ? serveOutbound : serveInbound;
  return startListening({
    fd,
    backlogMax: context.limits.backlogMax,
    takes: kind === "tls" ? { kind, tls: context.terminating() } : { kind },
    accept: (accepted) => {
      void serve(intercept(accepted, context.held), context).catch((error: unknown) => {
        log.write("E", "proxy", `internal error: ${describeBug(error)}`);
      });
    },
    admit: (peer) => admit(context, direction, peer),
  });
}

function admit(context: Context, direction: "inbound" | "outbound", peer: SocketAddress): boolean {
  const { registry, budget } = context;
  if (direction === "inbound") return admitPeer(context, peer);
  const admission = admitOutbound({ live: registry.size }, budget());
  if (admission.kind === "admit") return true;
  registry.rejectedOverLimit(direction, admission.limit);
  return false;
}

/** Makes room by closing unverified connections. */
function admitPeer(
  { registry, unverified, budget, refusals }: Context,
  peer: SocketAddress,
): boolean {
  const source = sourceKey(peer);
  const places = {
    live: registry.size,
    inbound: registry.inbound,
    strangers: registry.strangers,
    unverified: unverified.size,
    ofSource: registry.ofSource(source),
    unverifiedOfSource: unverified.sizeOf(source),
  };
  const admission = admitInbound(places, budget());
  if (admission.kind === "admit") return true;
  if (!makesRoom(admission, unverified, { source, host: hostKey(peer) })) {
    registry.rejectedOverLimit("inbound", admission.limit);
    return false;
  }
  refusals.refuse(admission.limit);
  return true;
}

function makesRoom(
  admission: Exclude<Admission, { kind: "admit" }>,
  unverified: Unverified,
  origin: VisitOrigin,
): boolean {
  if (admission.kind === "refuse") return false;
  return admission.whose === "source"
    ? unverified.makeRoomWithin(origin)
    : unverified.makeRoom(origin);
}

function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
