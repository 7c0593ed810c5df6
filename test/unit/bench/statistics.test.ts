import { expect, test } from "bun:test";

import { median, percentiles, summary, summaryOf } from "../../../scripts/bench/statistics.ts";

test.each([
  [[3], 3],
  [[5, 1, 3], 3],
  [[4, 1, 3, 2], 2.5],
])("the median of %p is %p", (values, wanted) => {
  expect(median(values)).toBe(wanted);
});

test("no values have no median and no summary", () => {
  expect(median([])).toBeNaN();
  expect(summary([])).toBeNull();
  expect(percentiles([])).toBeNull();
});

test("the spread is the range divided by the median", () => {
  expect(summary([90, 100, 120])).toEqual({ median: 100, spread: 0.3 });
  expect(summary([7])).toEqual({ median: 7, spread: 0 });
  expect(summary([0, 0])).toEqual({ median: 0, spread: 0 });
});

test("null values are left out of a summary", () => {
  expect(summaryOf([1, null, 3], (value) => value)?.median).toBe(2);
  expect(summaryOf([null], (value) => value)).toBeNull();
});

test("percentiles use the nearest rank", () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  expect(percentiles(values)).toEqual({ p50: 100, p90: 180, p99: 198 });
  expect(percentiles([8])).toEqual({ p50: 8, p90: 8, p99: 8 });
});
