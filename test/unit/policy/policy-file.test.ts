/** The other files that are read for a policy. */
import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";

import { defaultPolicy } from "../../../src/config.ts";
import { loadPolicy } from "../../../src/policy/policy-file.ts";
import { formatSocketAddress } from "../../../src/net/address.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const intercepting = {
  ...defaultPolicy,
  outbound: { ...defaultPolicy.outbound, dnsTcp: { value: "intercept", origin: "--dns-tcp" } },
} as const;

function resolversOf(
  resolvConf: string,
  base: typeof defaultPolicy = defaultPolicy,
): readonly string[] {
  const source = { file: null, base, resolvConf, lockoutGuard: null, ownAddresses: () => [] };
  return loadPolicy(source).outbound.resolvers.map(formatSocketAddress);
}

test("resolv.conf's name servers are left alone, and none without such a file", () => {
  const directory = temporaryDirectory();
  writeFileSync(`${directory}/resolv.conf`, "nameserver 10.0.0.53\n");
  expect(resolversOf(`${directory}/resolv.conf`)).toEqual(["10.0.0.53:53"]);
  expect(resolversOf(`${directory}/none`)).toEqual([]);
  expect(resolversOf(`${directory}/resolv.conf/none`)).toEqual([]);
});

test.each([
  ["a FIFO", (path: string): unknown => execFileSync("mkfifo", [path]), "it is a FIFO"],
  [
    "a directory",
    (path: string): unknown => mkdirSync(path, { recursive: true }),
    "it is a directory",
  ],
  [
    "one of 10 GB",
    (path: string): unknown => {
      writeFileSync(path, "nameserver 10.0.0.53\n");
      truncateSync(path, 10_000_000_000);
      return null;
    },
    "it is larger than 65536 bytes",
  ],
])(
  "%s in place of resolv.conf is refused by name, unless nothing is left alone",
  (_, make, why) => {
    const path = `${temporaryDirectory()}/resolv.conf`;
    make(path);
    expect(() => resolversOf(path)).toThrow(`${path}: ${why}`);
    expect(() => resolversOf(path)).toThrow("with --dns-tcp intercept it is not needed");
    expect(resolversOf(path, intercepting)).toEqual([]);
  },
);
