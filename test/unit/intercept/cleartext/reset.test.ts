/** If cleartext connections cannot be listed, the proxy goes on. */
import { expect, test } from "bun:test";

import { resetCleartext } from "../../../../src/intercept/cleartext/reset.ts";
import { kernel } from "../../../../src/netlink/socket.ts";

const all = () => (): boolean => true;

function full(): never {
  const message = "EMFILE: too many open files, open '/proc/self/net/tcp'";
  throw Object.assign(new Error(message), { code: "EMFILE" });
}

function broken(): never {
  throw new TypeError("a bug");
}

test("without a free descriptor for the list this is logged, and nothing is thrown", () => {
  const expected = { ended: 0, refusal: expect.stringContaining("EMFILE") as string };
  expect(resetCleartext(all, new Map(), { kernel, sockets: full })).toEqual(expected);
  expect(resetCleartext(full, new Map(), { kernel, sockets: () => [] })).toEqual(expected);
});

test("a bug in the listing is not hidden", () => {
  expect(() => resetCleartext(all, new Map(), { kernel, sockets: broken })).toThrow("a bug");
});
