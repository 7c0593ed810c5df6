/** Ports outside the range given to applications. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { parsePorts, parseReserved, Rotation } from "../../../src/net/ports.ts";

test("all ports outside the applications' range are used in turn, and none inside", () => {
  const range = fc
    .tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 400 }))
    .map(([first, size]) => ({ first, last: first + size }));
  fc.assert(
    fc.property(range, range, (within, taken) => {
      const rotation = new Rotation([within], [taken], 0);
      const wanted = Array.from(
        { length: within.last - within.first + 1 },
        (_, at) => within.first + at,
      ).filter((port) => port < taken.first || port > taken.last);
      const got = wanted.map(() => rotation.next());
      expect(new Set(got)).toEqual(new Set(wanted));
      expect(rotation.next()).toBe(wanted[0] ?? null);
    }),
  );
});

test.each([
  ["32768\t60999\n", { first: 32_768, last: 60_999 }],
  ["1024 65535", { first: 1024, last: 65_535 }],
  ["", { first: 32_768, last: 60_999 }],
  ["9 8", { first: 32_768, last: 60_999 }],
])("%j is a range", (text, ports) => {
  expect(parsePorts(text)).toEqual(ports);
});

test("reserved ports are read as ranges too", () => {
  expect(parseReserved("8080,9148-9150\n")).toEqual([
    { first: 8080, last: 8080 },
    { first: 9148, last: 9150 },
  ]);
  expect(parseReserved("\n")).toEqual([]);
  const rotation = new Rotation([{ first: 1, last: 9 }], parseReserved("2-3,7"), 0);
  expect(Array.from({ length: 6 }, () => rotation.next())).toEqual([1, 4, 5, 6, 8, 9]);
});

test("the starting position is a given fraction of the range", () => {
  expect(new Rotation([{ first: 1, last: 10 }], [], 0.55).next()).toBe(6);
});
