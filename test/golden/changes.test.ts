/** Changes in place, compared with nft's own requests. */
import { test } from "bun:test";

import { changes } from "../support/changes.ts";
import { expectSameMessages, linesBelow } from "../support/golden.ts";
import { bytesOfRequest } from "../support/message-lines.ts";

const golden = await Bun.file(`${import.meta.dir}/changes.hex`).text();

test.each(changes)("nft %s", (command, request) => {
  expectSameMessages([bytesOfRequest(request)], linesBelow(golden, `nft ${command}`));
});
