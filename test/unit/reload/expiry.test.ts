import { expect, test } from "bun:test";

import { remainingText, warningsDue } from "../../../src/reload/expiry.ts";

const day = 86_400_000;
const ninety = { notBefore: 0, notAfter: 90 * day };

test.each([
  ["new", 0, 0],
  ["just more than a third is left", 60 * day - 1, 0],
  ["a third is left", 60 * day, 1],
  ["a sixth is left", 75 * day, 2],
  ["a twelfth is left", 82.5 * day, 3],
  ["the last day", 89 * day, 5],
  ["expired", 90 * day + 1, Infinity],
])("%s", (_, now, due) => {
  expect(warningsDue(now, ninety)).toBe(due);
});

test("within the last minute no warning is repeated until it is over", () => {
  const { notAfter } = ninety;
  expect(warningsDue(notAfter - 1, ninety)).toBe(warningsDue(notAfter - 60_000, ninety));
});

test.each([
  [3 * 86_400_000 + 4 * 3_600_000 + 59_000, "for 3 d 4 h more"],
  [86_400_000 + 59_000, "for 1 d more"],
  [61_000, "for 1 min 1 s more"],
  [1, "for 1 s more"],
  [0, "no longer"],
])("%d ms left are reported as %p", (milliseconds, text) => {
  expect(remainingText(milliseconds)).toBe(text);
});
