/** What may happen with every connection is said once a minute. */
import { expect, test } from "bun:test";

import { seldom } from "../../../../src/runtime/log/seldom.ts";

test("the first of a minute is said, what follows within it is not", () => {
  let now = 0;
  const said: string[] = [];
  const say = seldom(
    (text: string) => said.push(text),
    () => now,
  );
  for (const [at, text] of [
    [0, "a"],
    [59_999, "b"],
    [60_000, "c"],
    [60_001, "d"],
  ] as const) {
    now = at;
    say(text);
  }
  expect(said).toEqual(["a", "c"]);
});
