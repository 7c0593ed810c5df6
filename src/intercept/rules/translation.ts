/**
 * Rules for machines on which others translate destinations, as Docker does for published ports. Used only if
 * conntrack is used anyway: without it nothing is translated. Pure.
 */
import type { Interception } from "./interception.ts";
import { usesConntrack } from "./conntrack.ts";
import { leftAloneInbound } from "./inbound.ts";
import { insideMark } from "./marks.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { families, leave, opening, tcp } from "./steps.ts";

export function translationChains(of: Interception): readonly ChainPlan[] {
  if (!usesConntrack(of)) return [];
  // Where all ports are intercepted, the port that others have translated to is the one that counts, as without
  // conntrack.
  const named = of.inboundPorts !== "all";
  return [
    ...(named ? [untranslated(of)] : []),
    {
      name: "refused",
      base: { type: "filter", hook: "output", priority: afterTranslation },
      rules: refusedRules(of),
    },
  ];
}

function untranslated(of: Interception): ChainPlan {
  const base = { type: "nat", hook: "prerouting", priority: beforeTranslation } as const;
  return { name: "untranslated", base, rules: untranslatedRules(of) };
}

/**
 * If others forward the application's port to a place on this machine (a container), the proxy's connection to it may
 * leave `lo`, like the host's own, but only where cleartext is allowed.
 */
export function forwardedOnRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const leaves: Rule = [...inside(of), { kind: "loopback", way: "oif", is: false }];
  return inClear([...leaves, { kind: "translated" }]);
}

/** A connection that arrives at the proxy is its own, wherever others forward the port. */
function untranslatedRules(of: Interception): readonly Rule[] {
  const keep = families.map((family): Rule => [tcp, { kind: "keep-destination", family }]);
  return [...leftAloneInbound(of), ...keep];
}

/**
 * If the proxy's connection to the application is forwarded, answers to a client's own address would not come back,
 * and nothing may go to the mesh in cleartext: it is refused at once, so that another way is tried or the failure is
 * logged.
 */
function refusedRules(of: Interception): readonly Rule[] {
  const begins: Rule = [...inside(of), opening, { kind: "not-local-destination" }];
  const reset: Step = { kind: "reset" };
  return [[...begins, { kind: "not-local-source" }, reset], ...inClear(begins), [...begins, reset]];
}

/** Exempts packets to destinations where cleartext is allowed. */
function inClear(which: Rule): readonly Rule[] {
  return families.flatMap((family): readonly Rule[] => [
    [...which, { kind: "in-set", set: `mesh${family}`, is: false }, leave],
    [...which, { kind: "in-set", set: `excluded${family}`, is: true }, leave],
  ]);
}

function inside({ mark }: Interception): Rule {
  return [{ kind: "fwmark", equals: insideMark(mark) }];
}

/** Docker's and iptables' chains have -100: NF_IP_PRI_NAT_DST. Among `nat` chains the first decision is final. */
const beforeTranslation = -101;
const afterTranslation = -90;
