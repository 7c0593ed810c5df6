/** Makes the context: what the connections of this process share. */
import type { Budget } from "../connection/budget.ts";
import { ConnectionRegistry } from "../connection/registry.ts";
import type { Metrics } from "../connection/metrics.ts";
import { LimitRefusals } from "../connection/limit-refusals.ts";
import { encryptedBytesMax, narrowReceiveBytes, type Config, type Limits } from "../config.ts";
import type { InForce } from "../reload/in-force.ts";
import { insideMark } from "../intercept/rules/marks.ts";
import { collect, relieve } from "../connection/relief.ts";
import type { Log } from "../runtime/log/log.ts";
import { seldom } from "../runtime/log/seldom.ts";
import { formatSocketAddress } from "../net/address.ts";
import { Held } from "../relay/held.ts";
import type { Rotation } from "../net/ports.ts";
import { socketOptionsOf, type SocketOptions } from "../net/socket-options.ts";
import { openSparePorts } from "../net/wire-ports.ts";
import { SilentClients } from "../original-source/connect.ts";
import { hasReturnPath } from "../original-source/return-path.ts";
import { WireTuples } from "../original-source/wire-tuples.ts";
import { HandshakeGate } from "../tls/handshake-gate.ts";
import type { Originator } from "../tls/originate.ts";
import { Tickets } from "../tls/tickets.ts";
import { Unverified, type UnverifiedBounds, type UnverifiedOptions } from "../tls/unverified.ts";
import type { Context, OriginalSource } from "../context.ts";

/** Counts live connections, and refused ones. */
export type ConnectionCounts = {
  readonly registry: ConnectionRegistry;
  readonly refusals: LimitRefusals;
};

export type ContextParts = ConnectionCounts & {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits: Limits;
  readonly memory: { readonly budget: Budget };
  /** Options of every socket that leaves the pod. */
  readonly socketOptions: SocketOptions;
  /** Whether the rules that return applications' answers are in place, by family. */
  readonly standing: (of: 4 | 6) => boolean;
  /** Source ports of connections to peers. */
  readonly ports: Rotation;
};

export function makeContext(config: Config, inForce: InForce, parts: ContextParts): Context {
  const { registry, refusals, log, metrics, limits, memory, standing } = parts;
  const budget = (): Budget => memory.budget;
  const { heldBytesMax: bytesMax } = budget();
  const heldLimits = { bytesMax, encryptedBytesMax, narrowReceiveBytes };
  const relief = (): void => {
    relieve(registry, held, refusals);
  };
  const held: Held = new Held(heldLimits, relief, collect);
  const visitors = visitorsOf(limits);
  // outbound.ts counts these by their fault.
  const outbound = visitors(() => ({ ...budget(), handshakesMax: Infinity }), uncounted);
  const unverified = visitors(budget, (fault) => {
    refusals.refuseFault(fault);
  });
  measureHeld(metrics, held, unverified);
  return {
    registry,
    refusals,
    budget,
    held,
    unverified,
    limits,
    originator: {
      ...originatorOf(inForce, parts),
      unverified: outbound,
      held,
    },
    source: {
      ...sourceOf(config, inForce, limits),
      standing,
      held,
      reserved: warnOfReserved(log),
    },
    policy: () => inForce.applied,
    probes: config.fixed.probes,
    terminating: () => inForce.terminating,
  };
}

export function connectionsOf(
  inForce: InForce,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
): ConnectionCounts {
  const refusals = new LimitRefusals({ log, metrics, now });
  const ownNotAfter = (): number => inForce.credentials.notAfter;
  const registry = new ConnectionRegistry({ log, metrics, refusals, now, ownNotAfter });
  return { registry, refusals };
}

function visitorsOf({
  handshakeMsMax,
}: Limits): (bounds: () => UnverifiedBounds, refused: UnverifiedOptions["refused"]) => Unverified {
  // A client that has begun its handshake has half of the time for the rest.
  const replyMsMax = handshakeMsMax / 2;
  return (bounds, refused) => new Unverified({ bounds, replyMsMax, refused, now });
}

const uncounted = (): void => undefined;

function now(): number {
  return performance.now();
}

function measureHeld(metrics: Metrics, held: Held, unverified: Unverified): void {
  metrics.gauge("tproxy_held_bytes", "bytes held for readers that have stopped", () => held.bytes);
  metrics.gauge("tproxy_held_max_bytes", "what memory has room for of these", () => held.bytesMax);
  const help = "inbound connections whose handshake is not over";
  metrics.gauge("tproxy_unverified_connections", help, () => unverified.size);
  const more = "bytes that they have us keep, beyond what each has room for";
  metrics.gauge("tproxy_unverified_bytes", more, () => unverified.bytes);
}

function originatorOf(
  inForce: InForce,
  { limits, socketOptions, ports }: Pick<ContextParts, "limits" | "socketOptions" | "ports">,
): Omit<Originator, "unverified" | "held"> {
  return {
    tls: () => inForce.dialing,
    tlsTo: (original) => inForce.dialingWith(inForce.applied.offered(original)),
    socketOptions,
    limits,
    gate: new HandshakeGate({
      all: { count: limits.handshakesMax, leaseMsMax: limits.handshakeLeaseMsMax },
      each: { count: limits.handshakesEachMax, leaseMsMax: limits.handshakeEachLeaseMsMax },
    }),
    tickets: new Tickets(),
    ports,
    keepsSource: () => inForce.applied.keepsSource,
    expect: (original) => inForce.applied.server(original),
  };
}

function sourceOf(
  { fixed }: Config,
  inForce: InForce,
  limits: Limits,
): Omit<OriginalSource, "standing" | "reserved" | "held"> {
  return {
    socketOptions: socketOptionsOf(limits, insideMark(fixed.mark)),
    limits,
    silent: new SilentClients(),
    wire: new WireTuples(),
    spare: openSparePorts(),
    returns: (policy, client) => !inForce.isChanging && hasReturnPath(policy, fixed, client),
  };
}

function warnOfReserved(log: Log): OriginalSource["reserved"] {
  return seldom((client) => {
    const text = `an application here does not see the port of ${formatSocketAddress(client)}, which is below `;
    log.write("W", "inbound", text + reservedRemedy);
  });
}

const reservedRemedy =
  "net.ipv4.ip_unprivileged_port_start: add NET_BIND_SERVICE to the container's capabilities (AmbientCapabilities= in systemd)";
