/** Rules and routes as ip(8) itself asks for them. */
import { test } from "bun:test";

import { routing } from "../support/commands.ts";
import { expectSameMessages, linesBelow } from "../support/golden.ts";
import { bytesOfRequest } from "../support/message-lines.ts";

const golden = await Bun.file(`${import.meta.dir}/ip.hex`).text();

test.each(routing)("ip %s", (command, request) => {
  expectSameMessages([bytesOfRequest(request)], linesBelow(golden, `ip ${command}`));
});
