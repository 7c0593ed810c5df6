/**
 * Rules for forwarded packets: of containers in the pod or on the host, and of virtual machines. To other
 * destinations they pass as before. No connection to the mesh may begin: it must not be in cleartext, and the proxy
 * cannot say who its client is. Pure.
 */
import type { Interception } from "./interception.ts";
import { leftAloneRules } from "./conntrack.ts";
import { elsewhereRules } from "./left-alone.ts";

import type { ChainPlan, Rule, Step } from "./rule.ts";
import { drop, leave, leaves, notOpening } from "./steps.ts";

/** Leads packets with foreign destinations to the chain below. */
export const toForwarded: Rule = [
  { kind: "not-local-destination" },
  { kind: "goto", chain: "forwarded" },
];

/**
 * Judging the first packet of a connection is enough. Packets that stay on one link would reach their destination
 * without us: between containers on one bridge, or from a neighbour that uses us as a router.
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

/** If only some users' connections are the proxy's, packets without a user are not. */
function isJudged({ forwarded, onlyUids, onlyGids }: Interception): boolean {
  return forwarded === "drop" && onlyUids === "all" && onlyGids === "all";
}
