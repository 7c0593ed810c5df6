/** Exempt destinations, by range, port and address. Pure. */
import type { Interception } from "./interception.ts";
import { intervalsOf } from "../../net/cidr.ts";
import type { Rule, Step } from "./rule.ts";
import { seenClients } from "./sets.ts";
import { families, familiesOf, leave, type LeavingRules } from "./steps.ts";

/**
 * Exempt destinations; `left` gives the rules for them. `answers`: packets that come from there. `written`: the mesh
 * is written into the rules themselves, so that nothing opens if another process empties its sets.
 */
export function elsewhereRules(
  of: Interception,
  {
    left,
    answers,
    written,
  }: { readonly left: LeavingRules; readonly answers?: true; readonly written?: true },
): readonly Rule[] {
  const way = answers === true ? { answers } : {};
  const isIn = (set: string): readonly Rule[] => left([{ kind: "in-set", set, is: true, ...way }]);
  return [
    ...families.map((family): Rule => {
      const intervals = intervalsOf(of.meshRanges, family);
      return written === true && intervals.length <= writtenMax
        ? [{ kind: "outside", family, intervals }, leave]
        : [{ kind: "in-set", set: `mesh${family}`, is: false, ...way }, leave];
    }),
    ...families.flatMap((family) => isIn(`excluded${family}`)),
    ...(of.excludedOutboundPorts.length > 0 ? isIn("excluded-outbound-ports") : []),
    ...familiesOf(of.excludedDestinations).flatMap((family) =>
      isIn(`excluded-destinations${family}`),
    ),
    ...portScope(of, left, answers),
  ];
}

/** Other ports are exempt, except for an application's answers to a client that it sees by its own address. */
function portScope(
  { outboundPorts }: Interception,
  left: LeavingRules,
  answers?: true,
): readonly Rule[] {
  if (outboundPorts === "all") return [];
  const way = answers === true ? { answers } : {};
  const otherWay = answers === true ? {} : ({ answers: true } as const);
  const other: Rule = [{ kind: "in-set", set: "outbound-ports", is: false, ...way }];
  const which = outboundPorts.length === 0 ? [] : other;
  return families.flatMap((family): readonly Rule[] => {
    const unseen: Step = { kind: "in-set", set: seenClients[family], is: false, ...otherWay };
    return left(which.concat(unseen));
  });
}

/** Each takes two expressions, and a rule may have 128 of them: NFT_RULE_MAXEXPRS. */
const writtenMax = 32;
