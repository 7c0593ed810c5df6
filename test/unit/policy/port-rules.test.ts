/** Rules for ports and ranges: which one applies to a port, and what the kernel rules are. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { defaultFixed, defaultPolicy } from "../../../src/config.ts";
import { formatPorts, includesPort, parsePortRange, type Ports } from "../../../src/net/ports.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { interceptionOf } from "../../../src/intercept/rules/interception.ts";
import { modeOf, type Mode, type Policy, type PortRule } from "../../../src/policy/policy.ts";
import { layered } from "../../../src/policy/port-rules.ts";

const policyOf = (text: string, base: Policy = defaultPolicy): Policy =>
  effectivePolicy(base, parsePolicy(text, "p.yaml"));

function modesOf(policy: Policy, ...ports: readonly number[]): string {
  return ports.map((port) => modeOf(policy, port).value).join(" ");
}

function rule(ports: Ports, mode: Mode | null): PortRule {
  const sourced = mode === null ? null : { value: mode, origin: "--option" };
  return { ports, mode: sourced, allow: null, preserveSource: null, alpn: null };
}

describe("a port's rule", () => {
  test("comes from the narrowest range that defines it", () => {
    const policy = policyOf(
      "inbound: { ports: { 8000-8100: { mode: audit }, 8050-8060: { mode: passthrough }, 8055: { mode: permissive }, 8001: { preserveSource: off } } }",
    );
    expect(
      modesOf(policy, 7999, 8000, 8001, 8049, 8050, 8054, 8055, 8056, 8060, 8061, 8100, 8101),
    ).toBe(
      "strict audit audit audit passthrough passthrough permissive passthrough passthrough audit audit strict",
    );
  });

  test("in the file overrides the options', even if theirs is narrower", () => {
    const { inbound } = defaultPolicy;
    const ports = [rule({ first: 8050, last: 8050 }, "passthrough")];
    const base = { ...defaultPolicy, inbound: { ...inbound, ports } };
    expect(
      modesOf(policyOf("inbound: { ports: { 8000-8100: { mode: audit } } }", base), 8050),
    ).toBe("audit");
    expect(
      modesOf(policyOf("inbound: { ports: { 8000-8100: { allow: [] } } }", base), 8049, 8050),
    ).toBe("strict passthrough");
  });

  test("is passed to the kernel as its range", () => {
    const text =
      "inbound: { mode: passthrough, ports: { 1-65535: { mode: strict }, 22: { mode: passthrough } } }";
    const { inboundPorts, excludedInboundPorts } = interceptionOf(policyOf(text), defaultFixed);
    expect([inboundPorts, excludedInboundPorts]).toEqual([
      [
        { first: 1, last: 21 },
        { first: 23, last: 65_535 },
      ],
      [{ first: 22, last: 22 }],
    ]);
  });
});

test("layered rules become disjoint, and each port has the fields of the first rule that contains it", () => {
  const port = fc.integer({ min: 1, max: 40 });
  const range = fc
    .tuple(port, port)
    .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));
  const mode = fc.option(fc.constantFrom<Mode>("strict", "audit", "permissive", "passthrough"));
  const rules = fc.array(
    fc.tuple(range, mode).map(([ports, one]) => rule(ports, one)),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(rules, (all) => {
      const flat = layered(all);
      for (let at = 1; at <= 41; at += 1) {
        const holding = flat.filter(({ ports }) => includesPort(ports, at));
        const wanted = all.filter(({ ports }) => includesPort(ports, at));
        expect(holding.length).toBe(Math.min(1, wanted.length));
        expect(holding[0]?.mode ?? null).toBe(
          wanted.find((one) => one.mode !== null)?.mode ?? null,
        );
      }
    }),
  );
});

test.each(["1", "80", "65535", "1-65535", "8000-8100"])("%p is a port or a range", (text) => {
  expect(formatPorts(parsePortRange(text))).toBe(text);
});

test.each([
  "0",
  "0-1",
  "65536",
  "1-65536",
  "2-1",
  "-",
  "1-",
  "-1",
  "1-2-3",
  "1..2",
  "",
  "80 ",
  "http",
])("%p is neither", (text) => {
  expect(() => parsePortRange(text)).toThrow("not a port");
});
