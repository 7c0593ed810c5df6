/** Which status connection is closed when there are too many. */
import { expect, test } from "bun:test";

import { Table } from "../../../src/status/table.ts";

type One = { readonly name: string; readonly source: string; readonly isPreferred: boolean };
const one = (name: string, isPreferred = false): One => ({
  name,
  source: name.slice(0, 1),
  isPreferred,
});

/** The connection closed for each arrival; "-" for none. */
function going(max: number, names: readonly (string | One)[]): string {
  const table = new Table<One>(max);
  return names
    .map((name) => {
      const goes = table.add(typeof name === "string" ? one(name) : name);
      if (goes !== null) table.delete(goes);
      return goes?.name ?? "-";
    })
    .join(" ");
}

test.each([
  ["all have their place", ["a1", "a2", "b1"], "- - -"],
  ["one source more than all is turned away", ["a1", "a2", "a3", "a4"], "- - - a4"],
  ["another one takes the place of the largest's oldest", ["a1", "a2", "b1", "c1"], "- - - a1"],
  ["where all are of one size, of the oldest", ["a1", "b1", "c1", "d1"], "- - - a1"],
  ["a probe does not go for a flood", [one("k1", true), "a1", "a2", "b1", "b2"], "- - - a1 b2"],
  ["a probe finds a place", ["a1", "a2", "a3", one("k1", true), one("k2", true)], "- - - a1 a2"],
  [
    "among probes the oldest goes",
    [one("k1", true), one("k2", true), one("l1", true), one("l2", true)],
    "- - - k1",
  ],
] as const)("%s", (_, names, expected) => {
  expect(going(3, names)).toBe(expected);
});
