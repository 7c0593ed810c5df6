/** The source ports of connections to peers. */
import { expect, test } from "bun:test";

import { planWirePorts } from "../../../src/net/wire-ports.ts";

const usual = { applications: { first: 32_768, last: 60_999 }, reserved: [] };
const all = { applications: { first: 1024, last: 65_535 }, reserved: [] };

test("ports not given to applications are free, and need no reservation", () => {
  expect(planWirePorts(null, usual)).toEqual({
    free: [
      { first: 10_240, last: 24_999 },
      { first: 61_000, last: 65_535 },
    ],
    reserve: null,
  });
});

test("if applications may use all ports, some are reserved", () => {
  expect(planWirePorts(null, all)).toEqual({
    free: [],
    reserve: { first: 22_976, last: 23_999 },
  });
});

test("a configured range is used, and reserved where applications could use it", () => {
  const wanted = { first: 20_000, last: 20_999 };
  expect(planWirePorts(wanted, usual)).toEqual({ free: [wanted], reserve: null });
  expect(planWirePorts(wanted, all)).toEqual({ free: [], reserve: wanted });
  const half = { applications: { first: 1024, last: 20_499 }, reserved: [] };
  expect(planWirePorts(wanted, half)).toEqual({
    free: [{ first: 20_500, last: 20_999 }],
    reserve: wanted,
  });
});

test("the operator's reserved ports are left alone unless configured", () => {
  const wanted = { first: 20_000, last: 20_999 };
  expect(planWirePorts(wanted, { ...all, reserved: [wanted] })).toEqual({
    free: [wanted],
    reserve: null,
  });
  const { free } = planWirePorts(null, { ...usual, reserved: [wanted] });
  expect(free.some(({ first, last }) => first <= 20_500 && 20_500 <= last)).toBe(false);
});
