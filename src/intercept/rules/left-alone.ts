/** Exempt destinations, by range, port and address. Pure. */
import type { Interception } from "./interception.ts";
import { intervalsOf } from "../../net/cidr.ts";
import type { Rule, Step } from "./rule.ts";
import { dialled, seenClients, servedPorts } from "./sets.ts";
import { families, familiesOf, leave, opening, type LeavingRules } from "./steps.ts";

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

/**
 * Connections to other ports are exempt, but an application's answers to a client are not: its port may be any. So a
 * packet leaves only if it begins a connection, or belongs to one that began here: from a port that no listener has,
 * or one that is known. Where the sets have been emptied, neither is known of any packet.
 */
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
  const notServed: Step = { kind: "in-set", set: servedPorts, is: false, ...otherWay };
  return families.flatMap((family) => {
    const unseen: Step = { kind: "in-set", set: seenClients[family], is: false, ...otherWay };
    const known: Step = { kind: "in-set", set: dialled[family], is: true, ...way };
    const others = which.concat(unseen);
    const goOn: readonly Rule[] = [
      others.concat({ kind: "not-emptied", set: servedPorts }, notServed, leave),
      others.concat(known, leave),
    ];
    return answers === true ? goOn : left([opening].concat(others)).concat(goOn);
  });
}

/** Each takes two expressions, and a rule may have 128 of them: NFT_RULE_MAXEXPRS. */
const writtenMax = 32;
