/** Events that may occur with every connection are logged once a minute. */
import { expect, test } from "bun:test";

import { seldom } from "../../../../src/runtime/log/seldom.ts";

test("the first in a minute is logged, the following are not", () => {
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
