/** Which connection makes room: of the source that holds most, the one that holds most, else the oldest. */
import { expect, test } from "bun:test";

import { crowdOf, greediest, heaviest } from "../../../src/tls/eviction.ts";

test("the source that holds most: many small ones count as much as few large ones", () => {
  const few = { members: new Set([1]), bytes: 100_000 };
  const many = { members: new Set(Array.from({ length: 20 }, (_, index) => index)), bytes: 0 };
  expect(heaviest([few, many], 10_000)).toBe(many);
  expect(heaviest([few, many], 1000)).toBe(few);
  expect(heaviest([], 1000)).toBeUndefined();
});

test("the largest one is closed; of equal ones the oldest", () => {
  const [old, greedy, young] = [{ bytes: 0 }, { bytes: 9 }, { bytes: 0 }];
  expect(greediest([old, greedy, young])).toBe(greedy);
  expect(greediest([old, young])).toBe(old);
  expect(greediest([])).toBeNull();
});

function of(host: string, count: number): readonly { readonly host: string }[] {
  return Array.from({ length: count }, () => ({ host }));
}

test("within a /64 the host with many makes room for one with few", () => {
  const crowd = of("fd77::3", 8);
  expect(crowdOf([...of("fd77::1", 1), ...crowd], "fd77::1")).toEqual(crowd);
  expect(crowdOf([...of("fd77::1", 1), ...crowd], "fd77::2")).toEqual(crowd);
});

test("hosts of a /64 with equally many do not displace each other", () => {
  const alike = ["fd77::1", "fd77::2", "fd77::3"].map((host) => ({ host }));
  expect(crowdOf(alike, "fd77::1")).toBeNull();
  expect(crowdOf([], "fd77::1")).toBeNull();
  const own = [{ host: "fd77::1" }, { host: "fd77::1" }, { host: "fd77::1" }];
  expect(crowdOf(own, "fd77::1")).toBeNull();
});
