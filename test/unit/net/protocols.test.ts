import { expect, test } from "bun:test";

import { choose, isForeignProtocol, offerOf } from "../../../src/net/protocols.ts";

const offer = (...names: readonly string[]): Uint8Array => Buffer.from(offerOf(names), "latin1");

test.each([
  ["our newest", ["h2", "tproxy/1", "tproxy/2"], ["h2"], "tproxy/2"],
  ["ours rather than the application's", ["h2", "tproxy/1"], ["h2"], "tproxy/1"],
  ["the application's preferred one", ["http/1.1", "h2"], ["h2", "http/1.1"], "h2"],
  ["nothing that the application does not speak", ["spdy/3"], ["h2"], false],
  ["nothing if the policy names no protocol", ["h2"], [], false],
  ["nothing for an empty offer", [], ["h2"], false],
] as const)("chosen is %s", (_, offered, spoken, chosen) => {
  expect(choose(offer(...offered), spoken)).toBe(chosen);
});

test("a policy's protocol names are printable, short, and not ours", () => {
  for (const name of ["h2", "http/1.1", "a".repeat(127)])
    expect(isForeignProtocol(name)).toBe(true);
  for (const name of ["", "tproxy/1", "tproxy/3", "a b", "h\u00FC", "a".repeat(128)])
    expect(isForeignProtocol(name)).toBe(false);
});
