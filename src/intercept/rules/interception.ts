/** What of a policy the kernel carries out. Pure. */
import type { Fixed, Interception } from "../../config.ts";
import { distinctSockets } from "../../net/address.ts";
import type { Ports } from "../../net/ports.ts";
import type { Mode, Policy } from "../../policy/policy.ts";

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
