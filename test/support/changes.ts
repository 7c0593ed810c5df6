/** nft(8) commands that change a table in place, and our requests for the same changes. */
import { deleteChain, deleteSet, flushChain, flushSet } from "../../src/netlink/nftables.ts";
import type { Request } from "../../src/netlink/socket.ts";

const table = "tls-tproxy";

export const changes: readonly (readonly [command: string, request: Request])[] = [
  [`flush chain inet ${table} output`, flushChain(table, "output")],
  [`flush set inet ${table} mesh4`, flushSet(table, "mesh4")],
  [`delete chain inet ${table} refused`, deleteChain(table, "refused")],
  [`delete set inet ${table} strict-ports`, deleteSet(table, "strict-ports")],
];

/** The table before the changes. */
export const changedTable = `table inet ${table} {
  set mesh4 { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
  set strict-ports { type inet_service; }
  chain refused { type filter hook output priority -90; }
  chain output { type route hook output priority mangle; ip daddr @mesh4 return; }
}`;
