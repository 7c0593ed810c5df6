import { expect, test } from "bun:test";

import { ageFault, type AgeFault, type Life } from "../../../src/connection/age.ts";

const second = 1000;
const limits = { ageMsMax: 100 * second, drainMsMax: 30 * second };
const busy: Life = { now: 0, openedAt: 0, notAfter: Infinity, quiet: false };

test.each([
  ["a young connection lives", { now: 50 * second }, null],
  ["a busy one lives up to its maximum age", { now: 100 * second - 1 }, null],
  ["a busy one ends at its maximum age", { now: 100 * second }, "MAX_AGE"],
  ["a quiet one ends in the last tenth", { now: 90 * second, quiet: true }, "MAX_AGE"],
  ["a quiet one lives until then", { now: 90 * second - 1, quiet: true }, null],
  ["certificates count too", { now: 40 * second, notAfter: 40 * second }, "CERTIFICATE_AGE"],
  ["the earlier of both is the reason", { now: 200 * second, notAfter: 150 * second }, "MAX_AGE"],
] satisfies [string, Partial<Life>, AgeFault | null][])("%s", (_, life, fault) => {
  expect(ageFault({ ...busy, ...life }, limits)).toBe(fault);
});

test("a quiet connection of a long life ends --drain before its time, not a tenth before", () => {
  const day = { ageMsMax: 86_400 * second, drainMsMax: 30 * second };
  expect(ageFault({ ...busy, quiet: true, now: 86_370 * second - 1 }, day)).toBeNull();
  expect(ageFault({ ...busy, quiet: true, now: 86_370 * second }, day)).toBe("MAX_AGE");
});

test("without a maximum age and with valid certificates a connection stays", () => {
  const life = { ...busy, now: 1e12, quiet: true, notAfter: 2e12 };
  expect(ageFault(life, { ageMsMax: null, drainMsMax: 30 * second })).toBeNull();
});
