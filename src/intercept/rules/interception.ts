/** What of a policy the kernel carries out. Pure. */
import { distinctSockets, type SocketAddress } from "../../net/address.ts";
import type { Cidr } from "../../net/cidr.ts";
import type { Ports } from "../../net/ports.ts";
import type { Mode, Policy } from "../../policy/policy.ts";
import type { Probes } from "../../probe/probe.ts";
import type { Mark } from "./marks.ts";

/** What the kernel is asked to hand over; all the rules follow from it (plan.ts). */
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
  /** Intercepted ports where plain text may come as well: the first bytes tell. */
  readonly inspectedPorts: {
    readonly kind: "only" | "all-but";
    readonly ports: readonly Ports[];
  };
};

/** The part that stays as it is while the proxy runs. */
export type Fixed = {
  /** Users whose outbound connections are left alone. */
  readonly excludedUids: readonly number[];
  /** The only users whose outbound connections are diverted. */
  readonly onlyUids: "all" | readonly number[];
  /** The same by the group of the process: its effective one, not those besides. */
  readonly excludedGids: readonly number[];
  readonly onlyGids: "all" | readonly number[];
  /** What becomes of forwarded connections to the mesh: dropped where they begin, or none of our business. */
  readonly forwarded: "drop" | "leave";
  /** Single destinations left alone: the environment's API server. */
  readonly excludedDestinations: readonly SocketAddress[];
  readonly mark: Mark;
  /** Loopback port that diverted outbound connections are accepted on. */
  readonly tcpPort: number;
  /** Loopback port that diverted inbound TLS is accepted on. */
  readonly tlsPort: number;
  /** Loopback port that diverted inbound connections of which the first bytes are to tell are accepted on. */
  readonly inspectPort: number;
  /** Port of the status server: never intercepted. */
  readonly statusPort: number;
  /** What the kubelet may ask in clear, and from where. */
  readonly probes: Probes;
};

/** What the kernel is asked to hand over: by the policy, and by what cannot change while the proxy runs. */
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

/** Whether users or groups decide what is diverted outbound: the kernel alone knows whose a connection is. */
export function isByOwner({ excludedUids, onlyUids, excludedGids, onlyGids }: Fixed): boolean {
  return excludedUids.length + excludedGids.length > 0 || onlyUids !== "all" || onlyGids !== "all";
}

/** Whether the first bytes have to be seen before it is known what they are. */
export function isInspected(mode: Mode): boolean {
  return mode === "audit" || mode === "permissive";
}
