/** The part of a policy that the kernel enforces. Pure. */
import { distinctSockets, type SocketAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { Ports } from "../../net/ports.ts";
import type { Mode, Policy } from "../../policy/policy.ts";
import { probePorts, type Probes } from "../../probe/probe.ts";
import type { Mark } from "./marks.ts";

/** What the kernel diverts; all rules follow from it (plan.ts). */
export type Interception = Fixed & {
  /** Destinations that are reached by mutual TLS only. */
  readonly meshRanges: readonly Cidr[];
  readonly excludedRanges: readonly Cidr[];
  /** The only destination ports that are diverted. */
  readonly outboundPorts: "all" | readonly Ports[];
  readonly excludedOutboundPorts: readonly Ports[];
  /** Ports of the application that are intercepted. */
  readonly inboundPorts: "all" | readonly Ports[];
  readonly excludedInboundPorts: readonly Ports[];
  /** Intercepted ports that also admit cleartext: the first bytes decide. */
  readonly inspectedPorts: {
    readonly kind: "only" | "all-but";
    readonly ports: readonly Ports[];
  };
};

/** The part that does not change while the proxy runs. */
export type Fixed = {
  /** Users whose outbound connections are exempt. */
  readonly excludedUids: readonly number[];
  /** The only users whose outbound connections are diverted. */
  readonly onlyUids: "all" | readonly number[];
  /** The same by the effective group of the process, not its supplementary groups. */
  readonly excludedGids: readonly number[];
  readonly onlyGids: "all" | readonly number[];
  /** Forwarded connections to the mesh are dropped when they begin, or left alone. */
  readonly forwarded: "drop" | "leave";
  /** Single exempt destinations: the environment's API server. */
  readonly excludedDestinations: readonly SocketAddress[];
  readonly mark: Mark;
  /** Loopback port that accepts diverted outbound connections. */
  readonly tcpPort: number;
  /** Loopback port that accepts diverted inbound TLS. */
  readonly tlsPort: number;
  /** Loopback port that accepts diverted inbound connections whose first bytes decide. */
  readonly inspectPort: number;
  /** Port of the status server: never intercepted. */
  readonly statusPort: number;
  /** The kubelet's cleartext probes, and their sources. */
  readonly probes: Probes;
};

/** What the kernel diverts: by the policy, and by what cannot change while the proxy runs. */
export function interceptionOf(policy: Policy, fixed: Fixed): Interception {
  const { inbound, outbound } = policy;
  const everywhere = inbound.mode.value;
  const portsOf = (...wanted: readonly Mode[]): readonly Ports[] =>
    inbound.ports
      .filter(({ mode }) => wanted.includes(mode?.value ?? everywhere))
      .map(({ ports }) => ports);
  return {
    ...fixed,
    excludedDestinations: distinctSockets([...fixed.excludedDestinations, ...outbound.resolvers]),
    meshRanges: outbound.mesh.value,
    excludedRanges: outbound.exclude.value,
    outboundPorts: outbound.ports.value,
    excludedOutboundPorts: outbound.excludePorts.value,
    inboundPorts: everywhere === "passthrough" ? portsOf("strict", "audit", "permissive") : "all",
    excludedInboundPorts: portsOf("passthrough"),
    inspectedPorts: isInspected(everywhere)
      ? { kind: "all-but", ports: portsOf("strict") }
      : { kind: "only", ports: portsOf("audit", "permissive") },
  };
}

/** Whether users or groups decide what is diverted outbound: only the kernel knows a connection's owner. */
export function isByOwner({ excludedUids, onlyUids, excludedGids, onlyGids }: Fixed): boolean {
  return excludedUids.length + excludedGids.length > 0 || onlyUids !== "all" || onlyGids !== "all";
}

/** Whether any connection from outside is left in cleartext, and answered in cleartext. */
export function answersInClear({
  probes,
  excludedInboundPorts,
  inboundPorts,
}: Interception): boolean {
  const { open, connect } = probePorts(probes);
  return open.length + connect.length + excludedInboundPorts.length > 0 || inboundPorts !== "all";
}

/** Whether the first bytes decide how a connection is treated. */
export function isInspected(mode: Mode): boolean {
  return mode === "audit" || mode === "permissive";
}
