/** Other addresses on lo: which ranges can have them. */
import { expect, test } from "bun:test";

import { defaultPolicy } from "../../../../src/config.ts";
import { isVeilable } from "../../../../src/intercept/kernel/veil.ts";
import { parseCidr } from "../../../../src/net/cidr.ts";

const ranges = (...texts: readonly string[]): ReturnType<typeof parseCidr>[] =>
  texts.map(parseCidr);

test("all ranges of the default mesh can have them together", () => {
  const chosen: ReturnType<typeof parseCidr>[] = [];
  for (const range of defaultPolicy.outbound.mesh.value) {
    expect(isVeilable(range, chosen)).toBe(true);
    chosen.push(range);
  }
});

test.each([
  ["a range wider than a sixteenth", "8.0.0.0/3", []],
  ["a range within the mapped place", "240.0.0.0/8", []],
  ["one mapped to the same place as another", "26.0.0.0/8", ["10.0.0.0/8"]],
  ["one mapped into the place of another", "26.1.2.0/24", ["10.0.0.0/8"]],
])("%s cannot", (_, range, others) => {
  expect(isVeilable(parseCidr(range), ranges(...others))).toBe(false);
});

test("the families do not affect each other", () => {
  expect(isVeilable(parseCidr("10.0.0.0/8"), ranges("fc00::/7"))).toBe(true);
  expect(isVeilable(parseCidr("::/0"), ranges("10.0.0.0/8", "fd00::/8"))).toBe(false);
});
