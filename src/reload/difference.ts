/** How two policies differ in meaning, not in where they are written. Pure. */
import type { Interception } from "../intercept/rules/interception.ts";
import { isSameSocket } from "../net/address.ts";
import { intervalsOf, type Cidr } from "../net/cidr.ts";
import { portMax, portsOutside, type Ports } from "../net/ports.ts";
import type { Policy } from "../policy/policy.ts";

/** Whether two policies have the same rules, on whatever lines. */
export function isSameMeaning(a: Policy, b: Policy): boolean {
  return textOf(a) === textOf(b);
}

/**
 * Whether the second one leaves packets of an outbound connection to the kernel that the first one diverts.
 * (conntrack knows which connections began outside.)
 */
export function leavesMoreAlone(before: Interception, after: Interception): boolean {
  return (
    !covers(after.meshRanges, before.meshRanges) ||
    !covers(before.excludedRanges, after.excludedRanges) ||
    portsOutside(after.excludedOutboundPorts, before.excludedOutboundPorts).length > 0 ||
    portsOutside(scopeOf(before), scopeOf(after)).length > 0 ||
    !after.excludedDestinations.every((one) =>
      before.excludedDestinations.some((other) => isSameSocket(one, other)),
    ) ||
    newlyClearPorts(before, after).length > 0
  );
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
