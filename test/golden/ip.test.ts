/** Rules and routes as ip(8) itself asks for them. */
import { expect, test } from "bun:test";

import * as route from "../../src/netlink/route.ts";
import { bytesOfRequest, goldenText } from "../support/golden.ts";

const table = 29_808;
const rule = { value: 0xa, mask: 0xf, table, priority: 100 };
const golden = await Bun.file(`${import.meta.dir}/ip.hex`).text();

test.each([
  [
    "-4 rule add fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.addRule({ ...rule, family: 4 }),
  ],
  [
    "-6 rule add fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.addRule({ ...rule, family: 6 }),
  ],
  [
    "-4 rule del fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.deleteRule({ ...rule, family: 4 }),
  ],
  [
    "-6 rule del fwmark 0xa/0xf iif lo lookup 29808 priority 100",
    route.deleteRule({ ...rule, family: 6 }),
  ],
  ["-4 route add local default dev lo table 29808", route.addLocalDefault(4, table)],
  ["-6 route add local default dev lo table 29808", route.addLocalDefault(6, table)],
  ["-4 route del local default dev lo table 29808", route.deleteLocalDefault(4, table)],
  ["-6 route del local default dev lo table 29808", route.deleteLocalDefault(6, table)],
])("ip %s", (command, request) => {
  const [, theirs] = golden.split(`# ip ${command}\n`);
  expect(goldenText([bytesOfRequest(request)])).toBe(theirs?.split(/^#/m)[0] ?? "");
});
