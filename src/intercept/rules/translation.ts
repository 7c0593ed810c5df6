/**
 * Rules for machines on which others translate destinations, as Docker does for the ports that it publishes. Where conntrack is
 * asked anyway: without it nothing is translated. Pure.
 */
import type { Interception } from "./interception.ts";
import { usesConntrack } from "./conntrack.ts";
import { leftAloneInbound } from "./inbound.ts";
import { insideMark } from "./marks.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { families, leave, opening, tcp } from "./steps.ts";

export function translationChains(of: Interception): readonly ChainPlan[] {
  if (!usesConntrack(of)) return [];
  return [
    {
      name: "untranslated",
      base: { type: "nat", hook: "prerouting", priority: beforeTranslation },
      rules: untranslatedRules(of),
    },
    {
      name: "refused",
      base: { type: "filter", hook: "output", priority: afterTranslation },
      rules: refusedRules(of),
    },
  ];
}

/**
 * The proxy's connection to an application whose port others forward to a place on this machine (a container) may leave `lo`:
 * as the host's own would, and only where that may be in cleartext.
 */
export function forwardedOnRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const leaves: Rule = [...inside(of), { kind: "loopback", way: "oif", is: false }];
  return inClear([...leaves, { kind: "translated" }]);
}

/** A connection that comes to the proxy is its own, whatever others forward the port to. */
function untranslatedRules(of: Interception): readonly Rule[] {
  const keep = families.map((family): Rule => [tcp, { kind: "keep-destination", family }]);
  return [...leftAloneInbound(of), ...keep];
}

/**
 * Where the proxy's connection to the application is forwarded, answers to a client's own address would not come back, and
 * to the mesh nothing goes in cleartext: refused at once, so that it is tried in another way or told.
 */
function refusedRules(of: Interception): readonly Rule[] {
  const begins: Rule = [...inside(of), opening, { kind: "not-local-destination" }];
  const reset: Step = { kind: "reset" };
  return [[...begins, { kind: "not-local-source" }, reset], ...inClear(begins), [...begins, reset]];
}

/** Leaves packets to where anybody here may speak in cleartext. */
function inClear(which: Rule): readonly Rule[] {
  return families.flatMap((family): readonly Rule[] => [
    [...which, { kind: "in-set", set: `mesh${family}`, is: false }, leave],
    [...which, { kind: "in-set", set: `excluded${family}`, is: true }, leave],
  ]);
}

function inside({ mark }: Interception): Rule {
  return [{ kind: "fwmark", equals: insideMark(mark) }];
}

/** Docker's chains and iptables' have -100: NF_IP_PRI_NAT_DST. Among chains of `nat` the first that decides is the last. */
const beforeTranslation = -101;
const afterTranslation = -90;
