/** How often metrics are rendered. */
import { expect, test } from "bun:test";

import { Rendered } from "../../../src/status/rendered.ts";

/** A clock that each rendering advances by `costMs`. */
function counting(costMs: number): { rendered: Rendered<number>; clock: { now: number } } {
  const clock = { now: 0 };
  let count = 0;
  const rendered = new Rendered(
    async () => {
      clock.now += costMs;
      count += 1;
      return await Promise.resolve(count);
    },
    () => clock.now,
  );
  return { rendered, clock };
}

test("for others at most once a second, whatever the number of requests", async () => {
  const { rendered, clock } = counting(2);
  for (let turn = 0; turn < 10_000; turn += 1) {
    clock.now += 1;
    await rendered.get(false);
  }
  expect(await rendered.get(false)).toBeLessThanOrEqual(11);
});

test("simultaneous requests get the same result", async () => {
  const { rendered } = counting(2);
  const all = await Promise.all(Array.from({ length: 100 }, async () => await rendered.get(false)));
  expect(new Set(all)).toEqual(new Set([1]));
});

test("for the pod itself at once, as long as that takes a twentieth of the time", async () => {
  const { rendered, clock } = counting(2);
  expect([await rendered.get(true), await rendered.get(true)]).toEqual([1, 2]);
  for (let turn = 0; turn < 10_000; turn += 1) {
    clock.now += 1;
    await rendered.get(true);
  }
  const spentMs = 2 * (await rendered.get(false));
  expect(spentMs).toBeLessThanOrEqual(clock.now / 20 + 200 + 2 * 10 + 2);
});

test("a failed rendering is retried, not cached", async () => {
  let fails = true;
  const rendered = new Rendered(
    async () => await (fails ? Promise.reject(new Error("no")) : Promise.resolve("yes")),
    () => 0,
  );
  expect(rendered.get(false)).rejects.toThrow("no");
  await Bun.sleep(0);
  fails = false;
  expect(await rendered.get(false)).toBe("yes");
});
