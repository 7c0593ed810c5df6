/** How two policies differ in meaning, not in where they are written. Pure. */
import type { Interception } from "../intercept/rules/interception.ts";
import { isSameSocket } from "../net/address.ts";
import { intervalsOf, type Cidr } from "../net/cidr.ts";
import { portMax, portsOutside, type Ports } from "../net/ports.ts";
import type { Policy } from "../policy/policy.ts";

/** Whether two policies mean the same, on whatever lines. */
export function isSameMeaning(a: Policy, b: Policy): boolean {
  return textOf(a) === textOf(b);
}

/**
 * Whether the second one leaves packets of an outbound connection to the kernel that the first one diverts.
 * (conntrack knows which connections began outside.)
 */
export function leavesMoreAlone(before: Interception, after: Interception): boolean {
  return Object.values(leavesMoreBy).some((leavesMore) => leavesMore(before, after));
}

/** Application ports that become passthrough: their replies are identified only by the source port. */
export function newlyClearPorts(before: Interception, after: Interception): readonly Ports[] {
  return portsOutside(after.excludedInboundPorts, before.excludedInboundPorts);
}

function scopeOf({ outboundPorts }: Interception): readonly Ports[] {
  return outboundPorts === "all" ? [{ first: 0, last: portMax }] : outboundPorts;
}

/** Whether every address of `inner` is in `outer`. */
function covers(outer: readonly Cidr[], inner: readonly Cidr[]): boolean {
  return ([4, 6] as const).every((family) => {
    const whole = intervalsOf(outer, family);
    return intervalsOf(inner, family).every(({ first, last }) =>
      whole.some((interval) => interval.first <= first && last <= interval.last),
    );
  });
}

function textOf(policy: Policy): string {
  return JSON.stringify(policy, (key, value: unknown) => {
    if (key === "origin") return "";
    return typeof value === "bigint" ? String(value) : value;
  });
}

type LeavesMore = (before: Interception, after: Interception) => boolean;

/** For what does not change while the proxy runs: if it ever did, nothing could be said of it. */
function changes(field: keyof Interception): LeavesMore {
  return (before, after) => !Bun.deepEquals(before[field], after[field]);
}

/** Whether a change of the field leaves more alone. Each field has its answer: a new one does not compile without. */
const leavesMoreBy = {
  meshRanges: (before, after) => !covers(after.meshRanges, before.meshRanges),
  excludedRanges: (before, after) => !covers(before.excludedRanges, after.excludedRanges),
  outboundPorts: (before, after) => portsOutside(scopeOf(before), scopeOf(after)).length > 0,
  excludedOutboundPorts: (before, after) =>
    portsOutside(after.excludedOutboundPorts, before.excludedOutboundPorts).length > 0,
  excludedDestinations: (before, after) =>
    !after.excludedDestinations.every((one) =>
      before.excludedDestinations.some((other) => isSameSocket(one, other)),
    ),
  excludedInboundPorts: (before, after) => newlyClearPorts(before, after).length > 0,
  // The kernel knows which packets are answers to connections from outside.
  inboundPorts: () => false,
  // They are diverted, whatever they speak.
  inspectedPorts: () => false,
  excludedUids: changes("excludedUids"),
  onlyUids: changes("onlyUids"),
  excludedGids: changes("excludedGids"),
  onlyGids: changes("onlyGids"),
  forwarded: changes("forwarded"),
  mark: changes("mark"),
  tcpPort: changes("tcpPort"),
  tlsPort: changes("tlsPort"),
  inspectPort: changes("inspectPort"),
  statusPort: changes("statusPort"),
  probes: changes("probes"),
} as const satisfies Readonly<Record<keyof Interception, LeavesMore>>;
