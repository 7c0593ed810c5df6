/** The end of a connection as ss(8) itself asks for it, but for what ss knows of the socket and we do not. */
import { expect, test } from "bun:test";

import { destroySocket } from "../../src/netlink/diag.ts";
import { parseHost } from "../../src/net/address.ts";
import { bytesOfRequest, goldenText } from "../support/golden.ts";

const golden = await Bun.file(`${import.meta.dir}/destroy.hex`).text();

test.each([
  ["-4 -K src 10.9.0.1 sport = 40000 dst 10.9.0.1 dport = 8080", "10.9.0.1"],
  ["-6 -K src [fd09::1] sport = 40000 dst [fd09::1] dport = 8080", "fd09::1"],
])("ss %s", (command, host) => {
  const request = destroySocket({
    source: parseHost(host),
    sourcePort: 40_000,
    destination: parseHost(host),
    destinationPort: 8080,
  });
  const ours = goldenText([bytesOfRequest(request)]).split("\n");
  const theirs = linesOf(command);
  expect(ours[words.states]).toBe("  ffffffff");
  // ss has seen the socket and names it by its cookie; INET_DIAG_NOCOOKIE is any: linux/inet_diag.h.
  expect(ours.slice(words.cookie, words.cookie + 2)).toEqual(["  ffffffff", "  ffffffff"]);
  expect(withoutKnown(ours)).toEqual(withoutKnown(theirs));
});

test("both ends stand each in its place", () => {
  const request = destroySocket({
    source: parseHost("192.0.2.1"),
    sourcePort: 0x1234,
    destination: parseHost("192.0.2.99"),
    destinationPort: 0x5678,
  });
  const { body } = bytesOfRequest(request);
  expect(body.subarray(8, 16).toHex()).toBe("12345678c0000201");
  expect(body.subarray(28, 32).toHex()).toBe("c0000263");
  expect(body.length).toBe(56);
});

test("it is a request that wants to be acknowledged, as that of ss", () => {
  const host = parseHost("10.9.0.1");
  const { flags } = destroySocket({
    source: host,
    sourcePort: 1,
    destination: host,
    destinationPort: 2,
  });
  expect(flags).toBe(0x0005);
});

function linesOf(command: string): readonly string[] {
  const [, after = "not captured"] = golden.split(`ss ${command}`);
  const text = after.slice(after.indexOf("\n") + 1);
  return (text.split(/^#/m)[0] ?? "").split("\n");
}

function withoutKnown(lines: readonly string[]): readonly string[] {
  const { states, cookie } = words;
  return lines.filter((_, at) => at !== states && at !== cookie && at !== cookie + 1);
}

/** Lines of the text: states, which the kernel does not look at here, and the cookie. */
const words = { states: 2, cookie: 13 } as const;
