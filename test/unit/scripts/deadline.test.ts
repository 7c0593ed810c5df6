/** Test deadlines stretch with the load; property tests use the gate's seed unless the environment sets another. */
import { expect, test } from "bun:test";

import { stretchOf } from "../../support/deadline.ts";
import { gateRuns, propertyRuns } from "../../support/property-runs.ts";

test.each([
  ["an idle machine", 0, 2, 1],
  ["a machine with a process for every second processor", 1, 2, 1],
  ["a machine with four processes for each processor", 8, 2, 8],
  ["an overloaded machine", 1000, 2, 10],
])("%s", (_, load, processors, times) => {
  expect(stretchOf(load, processors)).toBe(times);
});

test("without an environment the gate's seed and number of runs are used", () => {
  expect(propertyRuns({})).toEqual(gateRuns);
});

test("the fuzzer's seed and number of runs override them", () => {
  expect(propertyRuns({ TPROXY_SEED: "-7", TPROXY_RUNS: "1000" })).toEqual({
    seed: -7,
    numRuns: 1000,
  });
});

test.each(["", "7.5", "seven"])("the seed %p is refused", (seed) => {
  expect(() => propertyRuns({ TPROXY_SEED: seed })).toThrow("not an integer");
});
