/** Rules and routes as ip(8) itself asks for them. */
import { expect, test } from "bun:test";

import { aliases } from "../../src/net/alias.ts";
import * as route from "../../src/netlink/route.ts";
import { bytesOfRequest, goldenText } from "../support/golden.ts";

const table = 29_808;
const rule = { value: 0xa, mask: 0xf, table, priority: 100 };
const golden = await Bun.file(`${import.meta.dir}/ip.hex`).text();

test.each([
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
])("ip %s", (command, request) => {
  const [, theirs] = golden.split(`# ip ${command}\n`);
  expect(goldenText([bytesOfRequest(request)])).toBe(theirs?.split(/^#/m)[0] ?? "");
});
