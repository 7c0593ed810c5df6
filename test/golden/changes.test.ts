/** Changes in place as nft itself asks for them. */
import { expect, test } from "bun:test";

import { bytesOfRequest, goldenText } from "../support/golden.ts";
import { changes } from "../support/changes.ts";

const golden = await Bun.file(`${import.meta.dir}/changes.hex`).text();

test.each(changes)("nft %s", (command, request) => {
  const [, theirs] = golden.split(`# nft ${command}\n`);
  expect(goldenText([bytesOfRequest(request)])).toBe(theirs?.split("#")[0] ?? "not captured");
});
