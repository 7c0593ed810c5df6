import { expect, test } from "bun:test";

import { parseStat, usedBetween } from "../../../scripts/bench/processes.ts";

test("a process name with blanks and parentheses hides no field", () => {
  const fields = "S 12 1 1 0 -1 0 0 0 0 0 150 50 7 3 20 0 1 0";
  expect(parseStat(`77 (a ) (b) ${fields}`)).toEqual({
    name: "a ) (b",
    parent: 12,
    own: 2,
    waited: 0.1,
  });
});

test("other processes' use is the difference, largest first; ended ones count for their parent", () => {
  const before = new Map([
    [1, { name: "shell", parent: 0, seconds: 5 }],
    [2, { name: "compiler", parent: 1, seconds: 10 }],
    [3, { name: "idle", parent: 1, seconds: 1 }],
    [5, { name: "its child", parent: 2, seconds: 3 }],
  ]);
  const after = new Map([
    [1, { name: "shell", parent: 0, seconds: 20 }], // It has waited for 2, its ended child.
    [3, { name: "idle", parent: 1, seconds: 1 }],
    [4, { name: "new", parent: 1, seconds: 0.5 }],
  ]);
  const { seconds, who } = usedBetween(before, after);
  expect(seconds).toBe(2.5);
  expect(who).toEqual([
    { pid: 1, name: "shell", seconds: 2 },
    { pid: 4, name: "new", seconds: 0.5 },
  ]);
});
