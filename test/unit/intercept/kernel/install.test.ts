import { constants } from "node:os";
import { expect, test } from "bun:test";

import { install } from "../../../../src/intercept/kernel/install.ts";
import { bytesOfRequest } from "../../../support/message-lines.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { defaults } from "../../../support/interceptions.ts";
import type { Request } from "../../../../src/netlink/socket.ts";

const { EAFNOSUPPORT, ENOENT, EOPNOTSUPP, EPERM, EPROTONOSUPPORT } = constants.errno;

/** True if a rule has the expression `tproxy`: struct nlattr, then its name. */
function diverts(request: Request): boolean {
  const name = Buffer.concat([Uint8Array.of(11, 0, 1, 0), Buffer.from("tproxy\0")]);
  return Buffer.from(bytesOfRequest(request).body).includes(name);
}

/** A first start, without a table. */
function kernelWithout(missing: (request: Request) => number): FakeKernel {
  return new FakeKernel((request) => {
    if (request.about.startsWith("look for table")) return ENOENT;
    return missing(request);
  });
}

test.each([
  [
    "nft_tproxy",
    (request: Request) => (diverts(request) ? ENOENT : 0),
    /^rules: add rule to chain prerouting: ENOENT\. .*modprobe nft_tproxy/,
  ],
  [
    "TPROXY for IPv6",
    (request: Request) => (diverts(request) ? EOPNOTSUPP : 0),
    /^rules: .*EOPNOTSUPP\. The kernel has no TPROXY for IPv6/,
  ],
  [
    "nftables",
    (request: Request) => (request.about === "nf_tables batch" ? EPROTONOSUPPORT : 0),
    /^rules: .*EPROTONOSUPPORT\. The kernel has no nftables/,
  ],
  ["CAP_NET_ADMIN", () => EPERM, /^rules: .*EPERM\. CAP_NET_ADMIN is missing/],
] as const)(
  "without %s it does not start, says why, and undoes its changes",
  (_, missing, words) => {
    const kernel = kernelWithout(missing);
    expect(() => install(defaults, kernel.open)).toThrow(words);
    const count = (text: string): number =>
      kernel.asked.filter((about) => about.includes(text)).length;
    expect(count("delete IPv4 rule")).toBe(count("add IPv4 rule"));
    expect(count("delete IPv6 rule")).toBe(count("add IPv6 rule"));
  },
);

test("a kernel without IPv6 does not prevent the start, as there is nothing to divert", () => {
  const kernel = kernelWithout(({ about }) => (about.includes("IPv6") ? EAFNOSUPPORT : 0));
  expect(() => install(defaults, kernel.open)).not.toThrow();
  expect(kernel.asked).toContain("add IPv4 rule for the mark");
});
