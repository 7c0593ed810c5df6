/** Rules and routes, compared with ip(8)'s own requests. */
import { test } from "bun:test";

import { routing } from "../support/commands.ts";
import { expectSameMessages, linesBelow } from "../support/golden.ts";
import { bytesOfRequest } from "../support/message-lines.ts";

const golden = await Bun.file(`${import.meta.dir}/ip.hex`).text();

test.each(routing)("ip %s", (command, request) => {
  expectSameMessages([bytesOfRequest(request)], linesBelow(golden, `ip ${command}`));
});
