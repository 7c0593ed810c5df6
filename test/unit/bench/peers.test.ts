import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { besidesHaproxy } from "../../../scripts/bench/peers.ts";

test("HAProxy's own packets are left alone by the rules that divert to it", () => {
  const rules = readFileSync(`${import.meta.dir}/../../golden/defaults.sh`, "utf8");
  expect(besidesHaproxy(rules)).toContain('\n    oif "lo" return\nmeta skuid 9999 return\n');
});

test("rules that it cannot be told in are no silent mistake", () => {
  expect(() => besidesHaproxy("table inet tls-tproxy {}")).toThrow(/no line like/);
});
