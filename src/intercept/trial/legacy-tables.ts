/** Tables of iptables-legacy, which nf_tables neither lists nor traces: proc(5), net/ip_tables_names. */
import { readFileSync } from "node:fs";

/** Their names without duplicates; iptables-nft is in nftables. */
export function legacyTables(): readonly string[] {
  const names = ["ip_tables_names", "ip6_tables_names"].flatMap((name) => {
    try {
      return readFileSync(`/proc/self/net/${name}`, "latin1").split("\n").filter(Boolean);
    } catch {
      return []; // Not loaded.
    }
  });
  return [...new Set(names)];
}
