/** The name servers whose TCP port 53 is left alone. */
import { describe, expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../src/config.ts";
import { formatSocketAddress, parseSocketAddress } from "../../../src/net/address.ts";
import { isSameMeaning, leavesMoreAlone } from "../../../src/reload/difference.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { explainOutbound } from "../../../src/tools/explain.ts";
import { interceptionOf } from "../../../src/intercept/rules/interception.ts";
import type { Policy } from "../../../src/policy/policy.ts";
import { printPolicy } from "../../../src/policy/print.ts";
import { parseResolvers, withResolvers } from "../../../src/policy/resolvers.ts";
import { AppliedPolicy } from "../../../src/policy/applied-policy.ts";

describe("resolv.conf names", () => {
  test.each([
    ["one", "nameserver 10.96.0.10\n", ["10.96.0.10:53"]],
    [
      "both families, tabs, comments",
      "; x\n# nameserver 10.9.9.9\nnameserver\t10.0.0.1 # a\nnameserver fd00::a;b\n",
      ["10.0.0.1:53", "[fd00::a]:53"],
    ],
    ["a duplicate only once", "nameserver 10.0.0.1\nnameserver 10.0.0.1\n", ["10.0.0.1:53"]],
    ["an IPv4-mapped address", "nameserver ::ffff:10.0.0.1", ["10.0.0.1:53"]],
    ["no link-local address", "nameserver fe80::1%eth0\nnameserver 10.0.0.1\n", ["10.0.0.1:53"]],
    [
      "nothing that is not an address",
      "nameserver dns.example\nnameserver 10.0.0\nnameserver\n",
      [],
    ],
    [
      "nothing in other lines",
      " nameserver 10.0.0.1\nsearch a nameserver 10.0.0.2\noptions use-vc\n",
      [],
    ],
    ["nothing", "", []],
  ] as const)("%s", (_, text, wanted) => {
    expect(parseResolvers(text).map(formatSocketAddress)).toEqual([...wanted]);
  });

  test("at most 64", () => {
    const text = Array.from({ length: 100 }, (_, at) => `nameserver 10.0.0.${at}`).join("\n");
    expect(parseResolvers(text)).toHaveLength(64);
  });
});

const resolvConf =
  "nameserver 10.96.0.10\nnameserver fd96::a\nnameserver 127.0.0.53\nnameserver 8.8.8.8\nnameserver 169.254.20.10\n";

function policyOf(text: string, conf = resolvConf): Policy {
  const policy = effectivePolicy(defaultPolicy, parsePolicy(text, "p.yaml"));
  return withResolvers(policy, parseResolvers(conf));
}

describe("left alone", () => {
  test.each([
    ["what the mesh would divert", "{}", ["10.96.0.10:53", "[fd96::a]:53"]],
    ["the same with a configured mesh", "outbound: { mesh: [10.0.0.0/8] }", ["10.96.0.10:53"]],
    ["nothing with dnsTcp: intercept", "outbound: { dnsTcp: intercept }", []],
    [
      "nothing with an expected peer",
      "outbound: { expect: [{ to: 10.96.0.0/16, verify: ip }] }",
      ["[fd96::a]:53"],
    ],
    [
      "nothing with an offered protocol",
      "outbound: { expect: [{ to: 10.96.0.10, alpn: [h2] }] }",
      ["[fd96::a]:53"],
    ],
    [
      "nothing that is a mesh range itself",
      'outbound: { mesh: [default, "fd96::a"] }',
      ["10.96.0.10:53"],
    ],
    ["nothing that is excluded anyway", "outbound: { exclude: [10.96.0.0/16] }", ["[fd96::a]:53"]],
    ["nothing if the port is excluded", "outbound: { excludePorts: [53] }", []],
    ["nothing outside the scope of ports", "outbound: { ports: [80] }", []],
  ] as const)("%s", (_, text, wanted) => {
    const policy = policyOf(text);
    expect(policy.outbound.resolvers.map(formatSocketAddress)).toEqual([...wanted]);
    const { excludedDestinations } = interceptionOf(policy, defaultFixed);
    expect(excludedDestinations.map(formatSocketAddress)).toEqual([...wanted]);
  });

  test("exactly that address and port", () => {
    const applied = new AppliedPolicy(policyOf("{}"), null);
    const diverted = [
      "10.96.0.10:53",
      "10.96.0.10:853",
      "10.96.0.11:53",
      "[fd96::a]:53",
      "[fd96::b]:53",
    ];
    expect(diverted.map((text) => applied.diverts(parseSocketAddress(text)))).toEqual([
      false,
      true,
      true,
      false,
      true,
    ]);
  });
});

test("why and policy --print say so", () => {
  const policy = policyOf("{}");
  const question = { address: parseSocketAddress("10.96.0.10:53"), peer: null };
  const { lines } = explainOutbound(question, new AppliedPolicy(policy, null), defaultFixed);
  expect(lines[0]?.text).toContain("a name server of ours (resolv.conf, dnsTcp: leave, default)");
  expect(printPolicy(policy)).toContain(
    "# TCP port 53 of 10.96.0.10, fd96::a (resolv.conf) is left alone, in cleartext",
  );
});

test("another name server is a change, and leaves more alone", () => {
  const [before, after] = [policyOf("{}"), policyOf("{}", "nameserver 10.96.0.11")];
  expect(isSameMeaning(before, after)).toBe(false);
  expect(isSameMeaning(before, policyOf("{}"))).toBe(true);
  const [one, other] = [interceptionOf(before, defaultFixed), interceptionOf(after, defaultFixed)];
  expect(leavesMoreAlone(one, other)).toBe(true);
  expect(leavesMoreAlone(one, interceptionOf(policyOf("{}", ""), defaultFixed))).toBe(false);
});
