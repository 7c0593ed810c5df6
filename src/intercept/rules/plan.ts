/** The plan for the kernel as data: sets, chains of rules, and the route to `lo`. Pure. */
import type { Interception } from "./interception.ts";
import { divertedChain } from "./conntrack.ts";
import { forwardedChain } from "./forwarded.ts";
import { guardRules, marksChain, steeredChain, unownedChain } from "./guard.ts";
import {
  closedRules,
  closedTranslatedRules,
  leftAloneInbound,
  preroutingRules,
  translatedRules,
} from "./inbound.ts";
import { leaveOurs, leftAloneOutbound, letResetsOut, outputRules } from "./outbound.ts";
import { probeChains } from "./probes.ts";
import type { ChainPlan, Plan, Rule } from "./rule.ts";
import { setsOf } from "./sets.ts";
import { dropOpening } from "./steps.ts";
import { translationChains } from "./translation.ts";

/**
 * The chains' positions among those of other tables: linux/netfilter_ipv4.h, enum nf_ip_hook_priorities. `mangle` is
 * after conntrack and before NAT rewrites destinations (-100); `postrouting` is after all that may write another mark
 * or destination, and before NAT rewrites sources (100), by which the sets know packets.
 */
export const priorities = { mangle: -150, translated: 300, postrouting: 99 } as const;

export function planOf(interception: Interception): Plan {
  return {
    ...frameOf(interception),
    chains: [
      ...probeChains(interception.probes),
      steeredChain(interception),
      unownedChain(interception),
      forwardedChain(interception),
      ...divertedChain(interception),
      base("output", "route", outputRules(interception)),
      marksChain(interception.mark),
      guard(guardRules(interception)),
      base("prerouting", "filter", preroutingRules(interception)),
      translated(translatedRules(interception)),
      ...translationChains(interception),
    ],
  };
}

/**
 * In force while the kernel's sockets are listed: no connection that the plan would divert begins, and open ones
 * continue.
 */
export function listingPlanOf(interception: Interception): Plan {
  return {
    ...frameOf(interception),
    chains: [
      base("output", "filter", [
        ...leaveOurs(interception.mark),
        ...leftAloneOutbound(interception),
        dropOpening,
      ]),
      base("prerouting", "filter", [...leftAloneInbound(interception), dropOpening]),
    ],
  };
}

/**
 * In force while the policy changes to one with more exemptions: no outbound connection begins that would be diverted
 * now, and diverted ones continue.
 */
export function changingPlanOf(interception: Interception): Plan {
  const plan = planOf(interception);
  const chains = plan.chains.map((chain) =>
    chain.name === "output" ? { ...chain, rules: outputRules(interception, [dropOpening]) } : chain,
  );
  return { ...plan, chains };
}

/**
 * In force when a proxy has ended and its rules stay: what would be diverted is reset, so that no client waits for an
 * answer that cannot come, and nothing passes in cleartext.
 */
export function closedOf(interception: Interception): Plan {
  const plan = planOf(interception);
  const closed = (chain: ChainPlan): ChainPlan => {
    const change = closing.get(chain.name);
    return change === undefined ? chain : { ...chain, rules: change(chain.rules, interception) };
  };
  return { ...plan, chains: plan.chains.map(closed) };
}

type Change = (rules: readonly Rule[], interception: Interception) => readonly Rule[];

/** The change to a chain's rules, by its name. */
const closing: ReadonlyMap<string, Change> = new Map<string, Change>([
  ["output", letResetsOut],
  ["postrouting", letResetsOut],
  ["prerouting", (_, interception) => closedRules(interception)],
  ["translated", (_, interception) => closedTranslatedRules(interception)],
]);

function base(
  hook: "output" | "prerouting",
  type: "filter" | "route",
  rules: readonly Rule[],
): ChainPlan {
  return { name: hook, base: { type, hook, priority: priorities.mangle }, rules };
}

function guard(rules: readonly Rule[]): ChainPlan {
  const { postrouting: priority } = priorities;
  return { name: "postrouting", base: { type: "filter", hook: "postrouting", priority }, rules };
}

/** Sees packets with the destination that NAT has given them. */
function translated(rules: readonly Rule[]): ChainPlan {
  const { translated: priority } = priorities;
  return { name: "translated", base: { type: "filter", hook: "prerouting", priority }, rules };
}

/** The proxy's ports in a table's comment, or null for another comment. */
export function portsOf(comment: string): { readonly tcp: number; readonly tls: number } | null {
  const match = /ports (\d{1,5}) and (\d{1,5})$/.exec(comment);
  return match === null ? null : { tcp: Number(match[1]), tls: Number(match[2]) };
}

function frameOf(interception: Interception): Omit<Plan, "chains"> {
  return {
    table: "tls-tproxy",
    comment: `diverts to the proxy on ports ${interception.tcpPort} and ${interception.tlsPort}`,
    mark: interception.mark,
    sets: setsOf(interception),
    routing: { table: 29_808, priority: 100 },
  };
}
