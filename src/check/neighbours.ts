/** Other people's rules that see the same packets: named, because ours cannot know what they mean. */
import { legacyTables } from "../intercept/legacy-tables.ts";
import type { Plan } from "../intercept/plan.ts";
import { traceTable, veilTable } from "../intercept/veil.ts";
import * as nftables from "../netlink/nftables.ts";
import * as route from "../netlink/route.ts";
import { family, isErrno, kernel } from "../netlink/socket.ts";
import { good, warning, type Finding } from "./finding.ts";
import { quoteUnlessPlain } from "../log/escape.ts";

/** Nothing is changed. Where the kernel does not let us look, that is the finding. */
export function findNeighbours(plan: Plan): readonly Finding[] {
  return [tablesFinding(plan), routingFinding(plan), legacyFinding()].filter(
    (finding) => finding !== null,
  );
}

function tablesFinding(plan: Plan): Finding {
  const title = "nftables of others";
  try {
    const ours = new Set([plan.table, veilTable, traceTable].map((table) => `inet ${table}`));
    using socket = kernel(family.netfilter);
    const chains = socket
      .exchange([nftables.listChains()])
      .map(({ payload }) => nftables.readChain(payload))
      .filter((chain) => chain !== null && !ours.has(chain.table));
    if (chains.length === 0) return good(title, "none");
    const text = chains.map((chain) => (chain === null ? "" : chainText(chain)));
    const drastic = chains.some((chain) => chain?.type === "nat" || chain?.policy === "drop");
    if (!drastic) return good(title, text.join("; "));
    const remedy =
      "Chains that rewrite or drop by default: exclude what the proxy carries from them, or it arrives elsewhere.";
    return warning(title, text.join("; "), remedy);
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error;
    return warning(title, "may not be listed (EPERM)", "Run as root to have them looked at.");
  }
}

function chainText({ table, name, type, hook, policy }: nftables.BaseChain): string {
  return `${quoteUnlessPlain(table)} ${quoteUnlessPlain(name)} (${type}, ${hook}${policy === "drop" ? ", policy drop" : ""})`;
}

/** Rules before ours decide first: what they lead elsewhere is dropped by the guard, not sent in clear. */
function routingFinding(plan: Plan): Finding {
  const { priority } = plan.routing;
  const before = ([4, 6] as const).flatMap((of) => {
    try {
      using socket = kernel(family.route);
      return socket
        .exchange([route.listRules(of)])
        .map(({ payload }) => route.priorityOf(payload))
        .filter((one) => one > 0 && one < priority)
        .map((one) => `IPv${of} rule ${one}`);
    } catch (error) {
      if (isErrno(error, "EAFNOSUPPORT", "EOPNOTSUPP")) return [];
      throw error;
    }
  });
  if (before.length === 0) return good("routing rules before ours", "none");
  const remedy = `If they match diverted packets these are dropped: give them priorities above ${priority} (ip rule).`;
  return warning("routing rules before ours", before.join(", "), remedy);
}

/** ip_tables' own list; iptables-nft is in nftables. */
function legacyFinding(): Finding | null {
  const names = legacyTables();
  if (names.length === 0) return null;
  const remedy =
    "Look at them with iptables-legacy-save: nat and mangle see the proxy's packets too.";
  return warning("legacy iptables", names.join(", "), remedy);
}
