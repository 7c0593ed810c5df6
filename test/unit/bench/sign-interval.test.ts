/** The confidence interval of a median by order statistics, as scripts/bench/against-previous.ts prints it. */
import { expect, test } from "bun:test";

import { signInterval } from "../../../scripts/bench/statistics.ts";

const upTo = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => (at * 7) % count);

/**
 * Binomial tail: of 9 values, the second and eighth enclose the median with 96 %, the third and seventh with 82 %.
 */
test.each([
  [5, 0, 4],
  [6, 0, 5],
  [8, 0, 7],
  [9, 1, 7],
  [12, 2, 9],
  [20, 5, 14],
])("of %d values, from %d to %d", (count, low, high) => {
  expect(
    signInterval(
      upTo(count)
        .toSorted((a, b) => a - b)
        .map((_, at) => at),
    ),
  ).toEqual([low, high]);
});

test("the order of the values does not matter", () => {
  expect(signInterval([9, 1, 5, 3, 7, 2, 8, 4, 6])).toEqual([2, 8]);
});
