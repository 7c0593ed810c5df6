/**
 * Rules for what passes through: containers in the pod or on the host, virtual machines. To other places it goes as it did. To
 * the mesh no connection begins: in clear it must not, and who it is the proxy cannot say. Pure.
 */
import type { Interception } from "./interception.ts";
import { leftAloneRules } from "./conntrack.ts";
import { elsewhereRules } from "./left-alone.ts";

import type { ChainPlan, Rule, Step } from "./rule.ts";
import { drop, leave, leaves, notOpening } from "./steps.ts";

/** Leads packets that are not for here to the chain below. */
export const toForwarded: Rule = [
  { kind: "not-local-destination" },
  { kind: "goto", chain: "forwarded" },
];

/**
 * What begins is enough to judge. What stays on one link would reach its destination without us: containers on one
 * bridge, or a neighbour who takes us for a router.
 */
export function forwardedChain(of: Interception): ChainPlan {
  const link: Step = { kind: "same-link" };
  const judged: readonly Rule[] = [
    [notOpening, leave],
    ...leftAloneRules(of),
    ...elsewhereRules(of, { left: leaves }),
    [link, leave],
    [drop],
  ];
  return { name: "forwarded", base: null, rules: isJudged(of) ? judged : [[leave]] };
}

/** Where only some users' connections are the proxy's, packets without a user are not. */
function isJudged({ forwarded, onlyUids, onlyGids }: Interception): boolean {
  return forwarded === "drop" && onlyUids === "all" && onlyGids === "all";
}
