/**
 * The last look at what leaves, by what it is: TCP to the mesh that is not the proxy's leaves by `lo` or not at all, whatever
 * other tables have made of its mark, its destination or the way. Pure.
 */
import type { Interception } from "../config.ts";
import { leftAloneRules, ownerRules, translatedBeforeRules } from "./conntrack.ts";
import { insideMark, ownMark } from "./marks.ts";
import { elsewhereRules } from "./elsewhere.ts";
import { clearReplyRules, fromAlias, openBeforeRules } from "./outbound-rules.ts";
import type { ChainPlan, Rule, Step } from "./plan.ts";
import { forwardedOnRules } from "./translation.ts";
import { drop, families, leave, leaves, notOpening } from "./steps.ts";

/**
 * What the output chain leaves alone is left alone here; the rest has lost its mark on the way. The proxy's own is known
 * by its mark alone: it is dropped as well where that was lost.
 */
export function guardRules(of: Interception): readonly Rule[] {
  const { mark } = of;
  return [
    [{ kind: "loopback", way: "oif", is: true }, leave],
    [{ kind: "fwmark", equals: ownMark(mark) }, leave],
    // Rules before ours, or ours deleted; or the pod has lost the address that the proxy has reached its application at.
    [{ kind: "fwmark", equals: mark.value }, drop],
    ...forwardedOnRules(of),
    [{ kind: "fwmark", equals: insideMark(mark) }, drop],
    ...families.map((family): Rule => [...fromAlias(family), drop]),
    [{ kind: "tcp", is: false }, leave],
    ...families.map((family): Rule => [{ kind: "steered", family }, toSteered]),
    ...elsewhereRules(of, { left: leaves }),
    ...ownerRules(of),
    ...leftAloneRules(of),
    ...translatedBeforeRules(of),
    ...openBeforeRules(),
    ...clearReplyRules(of),
    // It answers whatever becomes of marks, so that it can say so.
    [notOpening, { kind: "in-set", set: "status-ports", is: true }, leave],
    // Forwarded packets were judged where they came in.
    [{ kind: "not-local-source" }, leave],
    [drop],
  ];
}

/** Where a packet ends is not in its destination: it cannot be judged, unless its sender is left alone whatever it does. */
export function steeredChain(of: Interception): ChainPlan {
  const owners = ownerRules(of);
  const left = owners.length > 0 ? [...owners, ...leftAloneRules(of)] : [];
  return { name: steered, base: null, rules: [...left, [drop]] };
}

const steered = "steered";
const toSteered: Step = { kind: "goto", chain: steered };
