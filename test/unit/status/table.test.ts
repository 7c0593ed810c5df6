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
  ["all fit", ["a1", "a2", "b1"], "- - -"],
  ["a source beyond the limit is refused", ["a1", "a2", "a3", "a4"], "- - - a4"],
  ["another source replaces the oldest of the largest one", ["a1", "a2", "b1", "c1"], "- - - a1"],
  ["with sources of one size, the oldest is replaced", ["a1", "b1", "c1", "d1"], "- - - a1"],
  [
    "a probe is not closed because of a flood",
    [one("k1", true), "a1", "a2", "b1", "b2"],
    "- - - a1 b2",
  ],
  ["a probe finds a place", ["a1", "a2", "a3", one("k1", true), one("k2", true)], "- - - a1 a2"],
  [
    "among probes the oldest is closed",
    [one("k1", true), one("k2", true), one("l1", true), one("l2", true)],
    "- - - k1",
  ],
] as const)("%s", (_, names, expected) => {
  expect(going(3, names)).toBe(expected);
});
