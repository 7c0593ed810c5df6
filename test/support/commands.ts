/** Commands of ip(8) and ss(8), and our requests for the same. */
import { aliases } from "../../src/net/alias.ts";
import { parseHost } from "../../src/net/address.ts";
import { destroySocket } from "../../src/netlink/diag.ts";
import * as route from "../../src/netlink/route.ts";
import type { Request } from "../../src/netlink/socket.ts";

type Command = readonly [command: string, request: Request];

const table = 29_808;
const rule = { value: 0xa, mask: 0xf, table, priority: 100 };

export const routing: readonly Command[] = [
  [
    "-4 rule add fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.addRoutingRule({ ...rule, family: 4 }),
  ],
  [
    "-6 rule add fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.addRoutingRule({ ...rule, family: 6 }),
  ],
  [
    "-4 rule del fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.deleteRoutingRule({ ...rule, family: 4 }),
  ],
  [
    "-6 rule del fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.deleteRoutingRule({ ...rule, family: 6 }),
  ],
  ["-4 route add local default dev lo table 29808", route.addLocalDefault(4, table)],
  ["-6 route add local default dev lo table 29808", route.addLocalDefault(6, table)],
  ["-4 route del local default dev lo table 29808", route.deleteLocalDefault(4, table)],
  ["-6 route del local default dev lo table 29808", route.deleteLocalDefault(6, table)],
  ["-4 addr add 169.254.77.1/32 dev lo scope host", route.addLoopbackAddress(aliases[4])],
  [
    "-6 addr add fd74:7072:6f78:7931::1/128 dev lo preferred_lft 0",
    route.addLoopbackAddress(aliases[6]),
  ],
  ["-4 addr del 169.254.77.1/32 dev lo", route.deleteLoopbackAddress(aliases[4])],
  ["-6 addr del fd74:7072:6f78:7931::1/128 dev lo", route.deleteLoopbackAddress(aliases[6])],
];

/** The socket of port 40000 that is connected to port 8080 at the same address. */
export const sockets: readonly Command[] = [
  ["-4 -K src 10.9.0.1 sport = 40000 dst 10.9.0.1 dport = 8080", destroyAt("10.9.0.1")],
  ["-6 -K src [fd09::1] sport = 40000 dst [fd09::1] dport = 8080", destroyAt("fd09::1")],
];

function destroyAt(address: string): Request {
  const host = parseHost(address);
  return destroySocket({
    source: host,
    sourcePort: 40_000,
    destination: host,
    destinationPort: 8080,
  });
}
