/** Who makes room: the source that keeps most, and of its connections the greediest, else the oldest. */
import { expect, test } from "bun:test";

import { greediest, heaviest } from "../../../src/tls/eviction.ts";

test("the source that keeps most: many small ones weigh as much as few large ones", () => {
  const few = { members: new Set([1]), bytes: 100_000 };
  const many = { members: new Set(Array.from({ length: 20 }, (_, index) => index)), bytes: 0 };
  expect(heaviest([few, many], 10_000)).toBe(many);
  expect(heaviest([few, many], 1000)).toBe(few);
  expect(heaviest([], 1000)).toBeUndefined();
});

test("the greediest goes; of equal ones the oldest", () => {
  const [old, greedy, young] = [{ bytes: 0 }, { bytes: 9 }, { bytes: 0 }];
  expect(greediest([old, greedy, young])).toBe(greedy);
  expect(greediest([old, young])).toBe(old);
  expect(greediest([])).toBeNull();
});
