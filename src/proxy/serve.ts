/** The listeners that diverted connections come to, and who serves them. */
import type { Config } from "../config.ts";
import type { Context } from "../context.ts";
import { ProxyError } from "../runtime/errors.ts";
import { serveInbound } from "../inbound.ts";
import { insideMark } from "../intercept/rules/marks.ts";
import { describeHolder, holderOf } from "../intercept/kernel/running.ts";
import type { Log } from "../runtime/log/log.ts";
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { hostKey, parseSocketAddress, sourceKey, type SocketAddress } from "../net/address.ts";
import { startListening, openDiverted, type Listener, type Takes } from "../net/listener.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import { serveOutbound } from "../outbound.ts";
import { admitInbound, admitOutbound, type Admission } from "../connection/admission.ts";
import { intercept } from "../relay/intercepted.ts";
import { readsRequests } from "../probe/probe.ts";
import type { VisitOrigin, Unverified } from "../tls/unverified.ts";

export type Serving = {
  readonly config: Config;
  readonly context: Context;
  readonly log: Log;
};

/** Sockets that listen, by where: "127.0.0.1:1". */
export type ListeningSockets = ReadonlyMap<string, number>;

/**
 * Opens what diverted connections come to, in both directions, on both families. Throws START_FAILED; what is open
 * already is on `undo`.
 */
export function openPlaces(
  config: Config,
  socketOptions: SocketOptions,
  undo: DisposableStack,
): ListeningSockets {
  const places = new Map<string, number>();
  const { backlogMax } = config.limits;
  const inside = { ...socketOptions, mark: insideMark(config.fixed.mark) };
  for (const { place, host, flag, port, kind } of spotsOf(config)) {
    const options = { socketOptions: kind === "plain" ? inside : socketOptions, backlogMax };
    const address = parseSocketAddress(place);
    const fd = named(`${flag} ${port} on ${host}`, address, () =>
      unlessNoIpv6(host, () => openDiverted(address, options, kind)),
    );
    if (fd === null) continue;
    undo.defer(() => {
      native.close(fd);
    });
    places.set(place, fd);
  }
  return places;
}

/** Serves what comes to these places, which are the listeners' from then on. Throws CREDENTIALS_INVALID. */
export function startListeners(
  serving: Serving,
  places: ListeningSockets,
  undo: DisposableStack,
): readonly Listener[] {
  return spotsOf(serving.config).flatMap((spot) => {
    const fd = places.get(spot.place);
    if (fd === undefined) return [];
    const listener = startListener(serving, spot, fd);
    undo.defer(listener.stop);
    return [listener];
  });
}

type Spot = {
  readonly place: string;
  readonly host: string;
  readonly flag: string;
  readonly port: number;
  readonly kind: Takes["kind"];
};

/**
 * Without a policy file no port is ever inspected, but for probes. With one it listens from the start: a later policy may
 * want it.
 */
function spotsOf({ fixed, policy }: Config): readonly Spot[] {
  const kinds = [
    { flag: "--tcp-port", port: fixed.tcpPort, kind: "plain" },
    { flag: "--tls-port", port: fixed.tlsPort, kind: "tls" },
    ...(policy.file === null && !readsRequests(fixed.probes)
      ? []
      : [{ flag: "--inspect-port", port: fixed.inspectPort, kind: "undecided" } as const]),
  ] as const;
  return ["127.0.0.1", "[::1]"].flatMap((host) =>
    kinds.map(({ flag, port, kind }) => ({ place: `${host}:${port}`, host, flag, port, kind })),
  );
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

/** Makes room where peers that are not verified keep it. */
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

/** Says which option a failure belongs to, and what to do. */
export function named<T>(option: string, address: SocketAddress, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const code = errnoName(error.errno);
    const remedy = remedies.get(code);
    const holder = code === "EADDRINUSE" ? holderOf(address) : null;
    const who = holder === null ? "" : `, because ${describeHolder(holder)} listens there`;
    const text = `cannot listen (${option}): ${code}${who}${remedy === undefined ? "" : `. ${remedy}`}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/** Null where the kernel has no IPv6: there is nothing to divert then. */
function unlessNoIpv6<T>(host: string, act: () => T): T | null {
  try {
    return act();
  } catch (error) {
    const absent = error instanceof SystemCallError && errnoName(error.errno) === "EAFNOSUPPORT";
    if (absent && host === "[::1]") return null;
    throw error;
  }
}

function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

const remedies = new Map<string, string>([
  ["EADDRINUSE", "Choose another port, or end that process (is a proxy running?)."],
  ["EADDRNOTAVAIL", "This address is not one of this network namespace's: is lo up?"],
  [
    "EPERM",
    "CAP_NET_ADMIN is missing: run as root, and give a container that capability (its other users get none of cap-add).",
  ],
  ["EACCES", "Ports below 1024 require CAP_NET_BIND_SERVICE."],
]);
