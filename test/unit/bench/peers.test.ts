import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { besidesHaproxy } from "../../../scripts/bench/peers.ts";

test("the diverting rules exempt HAProxy's own packets", () => {
  const rules = readFileSync(`${import.meta.dir}/../../golden/defaults.sh`, "utf8");
  expect(besidesHaproxy(rules)).toContain('\n    oif "lo" return\nmeta skuid 9999 return\n');
});

test("a peer that the rules cannot exempt is an error", () => {
  expect(() => besidesHaproxy("table inet tls-tproxy {}")).toThrow(/no line like/);
});
