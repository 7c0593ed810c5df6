/** Other rules that see the same packets: listed only, because their purpose is unknown. */
import { legacyTables } from "../../intercept/trial/legacy-tables.ts";
import { priorities } from "../../intercept/rules/plan.ts";
import type { Plan } from "../../intercept/rules/rule.ts";
import { traceTable, veilTable } from "../../intercept/kernel/veil.ts";
import { readMarkingRule, touches, type MarkingRule } from "../../netlink/foreign-marks.ts";
import { listAllRules } from "../../netlink/foreign-rules.ts";
import * as nftables from "../../netlink/nftables.ts";
import * as route from "../../netlink/route.ts";
import { protocol, isErrno, kernel } from "../../netlink/socket.ts";
import { good, warning, type Finding } from "./finding.ts";
import { quoteUnlessPlain } from "../../runtime/log/escape.ts";

/** Changes nothing. If the kernel denies access, that is the finding. */
export function findNeighbours(plan: Plan): readonly Finding[] {
  return [...tablesFindings(plan), routingFinding(plan), legacyFinding()].filter(
    (finding) => finding !== null,
  );
}

function tablesFindings(plan: Plan): readonly Finding[] {
  try {
    const ours = new Set([plan.table, veilTable, traceTable].map((table) => `inet ${table}`));
    using socket = kernel(protocol.netfilter);
    const chains = socket
      .exchange([nftables.listChains()])
      .map(({ payload }) => nftables.readChain(payload))
      .filter((chain) => chain !== null)
      .filter(({ table }) => !ours.has(table));
    const rules = socket.exchange([listAllRules()]).map(({ payload }) => readMarkingRule(payload));
    return [chainsFinding(chains), marksFinding(plan, chains, rules)];
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error;
    const remedy = "Run as root to have them checked.";
    return [warning("other-nftables", "may not be listed (EPERM)", remedy)];
  }
}

function chainsFinding(chains: readonly nftables.BaseChain[]): Finding {
  const id = "other-nftables";
  if (chains.length === 0) return good(id, "none");
  const text = chains.map((chain) => chainText(chain)).join("; ");
  const drastic = chains.some(({ type, policy }) => type === "nat" || policy === "drop");
  if (!drastic) return good(id, text);
  const remedy =
    "Chains that rewrite or drop by default: exclude what the proxy carries from them, or it arrives elsewhere.";
  return warning(id, text, remedy);
}

/** Chains that see packets between ours and may remove the marks that ours rely on. */
function marksFinding(
  { mark }: Plan,
  chains: readonly nftables.BaseChain[],
  rules: readonly MarkingRule[],
): Finding {
  const setters = chains
    .filter((chain) => isBetween(chain))
    .filter((chain) => reachable(chain, rules).some((rule) => touches(rule, mark.mask)))
    .map(
      ({ priority, ...chain }) => `${chainText({ priority, ...chain })} at priority ${priority}`,
    );
  if (setters.length === 0) return good("other-marks", "none of ours");
  const bits = `0x${mark.mask.toString(16)}`;
  const remedy =
    `Packets that lose their marks there are dropped, the proxy's own TLS too. Spare the bits ${bits} (CONNMARK --nfmask, ` +
    `meta mark & …), choose others by --mark, or let the chain of hook output come first, below priority ${priorities.mangle}.`;
  return warning("other-marks", setters.join("; "), remedy);
}

/** After our marking chain, or before those that look for marks. */
function isBetween({ hook, priority }: nftables.BaseChain): boolean {
  if (hook === "output") return priority >= priorities.mangle;
  if (hook === "prerouting") return priority <= priorities.mangle;
  return hook === "postrouting" && priority <= priorities.postrouting;
}

/** The rules of the chain and of chains that it jumps to. */
function reachable(
  { table, name }: nftables.BaseChain,
  rules: readonly MarkingRule[],
): readonly MarkingRule[] {
  const ofTable = rules.filter((rule) => rule.table === table);
  const seen = new Set([name]);
  for (const chain of seen)
    for (const { leadsTo } of ofTable.filter((rule) => rule.chain === chain)) {
      if (leadsTo === "any") return ofTable;
      for (const next of leadsTo) seen.add(next);
    }
  return ofTable.filter(({ chain }) => seen.has(chain));
}

function chainText({ table, name, type, hook, policy }: nftables.BaseChain): string {
  return `${quoteUnlessPlain(table)} ${quoteUnlessPlain(name)} (${type}, ${hook}${policy === "drop" ? ", policy drop" : ""})`;
}

/** Rules before ours decide first: what they route elsewhere is dropped by the guard, not sent in cleartext. */
function routingFinding(plan: Plan): Finding {
  const { priority } = plan.routing;
  const before = ([4, 6] as const).flatMap((of) => {
    try {
      using socket = kernel(protocol.route);
      return socket
        .exchange([route.listRoutingRules(of)])
        .map(({ payload }) => route.priorityOf(payload))
        .filter((one) => one > 0 && one < priority)
        .map((one) => `IPv${of} rule ${one}`);
    } catch (error) {
      if (isErrno(error, "EAFNOSUPPORT", "EOPNOTSUPP")) return [];
      throw error;
    }
  });
  if (before.length === 0) return good("earlier-routing-rules", "none");
  const remedy = `If they match diverted packets these are dropped: give them priorities above ${priority} (ip rule).`;
  return warning("earlier-routing-rules", before.join(", "), remedy);
}

/** ip_tables' own list; iptables-nft is in nftables. */
function legacyFinding(): Finding | null {
  const names = legacyTables();
  if (names.length === 0) return null;
  const remedy =
    "Look at them with iptables-legacy-save: nat and mangle see the proxy's packets too.";
  return warning("legacy-iptables", names.join(", "), remedy);
}
