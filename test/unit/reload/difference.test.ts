/** What counts as a policy change, and which changes move diverted traffic to cleartext. */
import { describe, expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../src/config.ts";
import { type Interception, interceptionOf } from "../../../src/intercept/rules/interception.ts";
import { isSameMeaning, leavesMoreAlone, newlyClearPorts } from "../../../src/reload/difference.ts";
import { singlePort } from "../../../src/net/ports.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import type { Policy } from "../../../src/policy/policy.ts";

const policyOf = (text: string, name = "p.yaml"): Policy =>
  effectivePolicy(defaultPolicy, parsePolicy(text, name));
const interception = (text: string): Interception => interceptionOf(policyOf(text), defaultFixed);

const inbound = (text: string): string => `inbound: { ${text} }`;
const outbound = (text: string): string => `outbound: { ${text} }`;
const mesh = (...ranges: readonly string[]): string =>
  outbound(`mesh: [${ranges.map((range) => `"${range}"`).join(", ")}]`);
const exclude = (...ranges: readonly string[]): string =>
  outbound(`exclude: [${ranges.map((range) => `"${range}"`).join(", ")}]`);
const id = `allow: ["spiffe://a.example/x"]`;

describe("the same policy", () => {
  test.each([
    ["in the same words", inbound("mode: audit"), inbound("mode: audit")],
    ["on other lines", inbound("mode: audit"), "# a comment\n\ninbound:\n  mode: audit"],
    ["with the default spelled out", "{}", inbound("mode: strict")],
    ["with a range with other host bits", mesh("10.0.0.0/8"), mesh("10.1.2.3/8")],
    ["with fields in another order", `verify: ip\n${inbound(id)}`, `${inbound(id)}\nverify: ip`],
  ])("%s", (_, a, b) => {
    expect(isSameMeaning(policyOf(a), policyOf(b, "another.yaml"))).toBe(true);
  });
});

describe("another policy", () => {
  test.each([
    ["by another mode", "{}", inbound("mode: permissive")],
    ["by a list", "{}", inbound(id)],
    ["by an empty list, which admits no client", "{}", inbound("allow: []")],
    ["by a port", "{}", inbound("ports: { 80: { mode: audit } }")],
    ["by a port's list", inbound("ports: { 80: {} }"), inbound(`ports: { 80: { ${id} } }`)],
    ["by a trust domain", "{}", "trustDomain: a.example"],
    ["by a verification", "{}", "verify: ip"],
    ["by a range", mesh("10.0.0.0/8"), mesh("10.0.0.0/9")],
    ["by a range of the other family", mesh("10.0.0.0/8"), mesh("10.0.0.0/8", "fd00::/8")],
    ["by an excluded port", "{}", outbound("excludePorts: [53]")],
    ["by an expected peer", "{}", outbound(`expect: [{ to: 10.0.0.1, ${id} }]`)],
  ])("%s", (_, a, b) => {
    expect(isSameMeaning(policyOf(a), policyOf(b))).toBe(false);
    expect(isSameMeaning(policyOf(b), policyOf(a))).toBe(false);
  });
});

/** Before, after, whether the change exempts more, whether its reversal does. */
const steps: readonly (readonly [string, string, string, boolean, boolean])[] = [
  ["nothing", "{}", "{}", false, false],
  ["an allow list", "{}", inbound(id), false, false],
  ["strict to permissive", "{}", inbound("mode: permissive"), false, false],
  ["a smaller mesh", mesh("10.0.0.0/8"), mesh("10.0.0.0/9"), true, false],
  ["a mesh in two halves", mesh("10.0.0.0/8"), mesh("10.0.0.0/9", "10.128.0.0/9"), false, false],
  ["a mesh with a hole", mesh("10.0.0.0/8"), mesh("10.0.0.0/9", "10.192.0.0/10"), true, false],
  ["no mesh", mesh("10.0.0.0/8"), mesh(), true, false],
  ["a mesh moved", mesh("10.0.0.0/9"), mesh("10.128.0.0/9"), true, true],
  ["one family less", mesh("10.0.0.0/8", "fd00::/8"), mesh("10.0.0.0/8"), true, false],
  [
    "the same number in the other family",
    mesh("0.0.0.10/32"),
    mesh("0.0.0.10/32", "::a/128"),
    false,
    true,
  ],
  ["one address less", mesh("10.0.0.0/31"), mesh("10.0.0.0/32"), true, false],
  ["an exclusion", exclude(), exclude("10.0.0.1"), true, false],
  ["a wider exclusion", exclude("10.0.0.0/24"), exclude("10.0.0.0/16"), true, false],
  [
    "an exclusion split",
    exclude("10.0.0.0/23"),
    exclude("10.0.0.0/24", "10.0.1.0/24"),
    false,
    false,
  ],
  ["an excluded outbound port", "{}", outbound("excludePorts: [53]"), true, false],
  [
    "another excluded outbound port",
    outbound("excludePorts: [53]"),
    outbound("excludePorts: [54]"),
    true,
    true,
  ],
  ["an outbound scope of ports", "{}", outbound("ports: [80]"), true, false],
  ["a wider scope", outbound("ports: [80]"), outbound("ports: [80, 8000-8100]"), false, true],
  ["another scope", outbound("ports: [80]"), outbound("ports: [81]"), true, true],
  ["all ports, spelled out", "{}", outbound("ports: [1-65535]"), true, false],
  [
    "a wider range of excluded ports",
    outbound("excludePorts: [50-60]"),
    outbound("excludePorts: [50-61]"),
    true,
    false,
  ],
  [
    "a range in two halves",
    outbound("excludePorts: [50-60]"),
    outbound("excludePorts: [50-55, 56-60]"),
    false,
    false,
  ],
  ["a passthrough port", "{}", inbound("ports: { 80: { mode: passthrough } }"), true, false],
  // conntrack knows which packets of these connections are replies, so no live connection becomes exempt.
  [
    "one inbound port less with passthrough elsewhere",
    inbound("mode: passthrough, ports: { 80: { mode: strict } }"),
    inbound("mode: passthrough"),
    false,
    false,
  ],
  ["passthrough for all inbound ports", "{}", inbound("mode: passthrough"), false, false],
];

describe("whether more is exempt", () => {
  test.each(steps)("%s", (...step) => {
    const [, before, after, there, back] = step;
    const [one, other] = [interception(before), interception(after)];
    expect(leavesMoreAlone(one, other)).toBe(there);
    expect(leavesMoreAlone(other, one)).toBe(back);
  });
});

/** The rules follow from these too, and the proxy has no answer for a change of them while it runs. */
test.each([
  { excludedUids: [7] },
  { onlyUids: [7] },
  { excludedGids: [7] },
  { onlyGids: [7] },
  { forwarded: "leave" },
  { mark: { ...defaultFixed.mark, value: defaultFixed.mark.value + 1 } },
  { tcpPort: defaultFixed.tcpPort + 1 },
  { tlsPort: defaultFixed.tlsPort + 1 },
  { inspectPort: defaultFixed.inspectPort + 1 },
  { statusPort: defaultFixed.statusPort + 1 },
  { probes: { ...defaultFixed.probes, mode: "inspect" } },
] satisfies readonly Partial<Interception>[])(
  "a change of what cannot change counts as exempting more: %j",
  (change: Partial<Interception>) => {
    const before = interception("{}");
    expect(leavesMoreAlone(before, { ...before, ...change })).toBe(true);
    expect(leavesMoreAlone(before, interception("{}"))).toBe(false);
  },
);

describe("ports in cleartext from now on", () => {
  const clear = (...ports: readonly number[]): string =>
    inbound(`ports: { ${ports.map((port) => `${port}: { mode: passthrough }`).join(", ")} }`);

  test.each([
    ["none", "{}", "{}", []],
    ["the new ones", clear(80), clear(80, 443, 22), [22, 443]],
    ["none that already were", clear(80, 443), clear(443), []],
    ["none that become permissive", "{}", inbound("ports: { 80: { mode: permissive } }"), []],
    ["one that was in audit mode", inbound("ports: { 80: { mode: audit } }"), clear(80), [80]],
  ])("%s", (_, before, after, ports) => {
    expect(newlyClearPorts(interception(before), interception(after))).toEqual(
      ports.map(singlePort),
    );
  });
});
