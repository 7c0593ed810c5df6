/** Which identity is required where: options, the file's overrides, ranges and ports. */
import { describe, expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../src/config.ts";
import { parseSpiffeId } from "../../../src/identity/spiffe-id.ts";
import { parseSocketAddress } from "../../../src/net/address.ts";
import { singlePort } from "../../../src/net/ports.ts";
import type { Expectation } from "../../../src/policy/authorize.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { interceptionOf } from "../../../src/intercept/rules/interception.ts";
import type { Policy } from "../../../src/policy/policy.ts";
import { AppliedPolicy } from "../../../src/policy/applied-policy.ts";

const own = parseSpiffeId("spiffe://a.example/me");
const policyOf = (text: string, base: Policy = defaultPolicy): Policy =>
  effectivePolicy(base, parsePolicy(text, "p.yaml"));
const server = (text: string, address: string, id: typeof own | null = own): string =>
  textOf(new AppliedPolicy(policyOf(text), id).server(parseSocketAddress(address)));
const client = (text: string, port: number, id: typeof own | null = own): string =>
  textOf(new AppliedPolicy(policyOf(text), id).client(port));

function textOf(expectation: Expectation): string {
  const words = expectation.map((demand) => {
    switch (demand.kind) {
      case "address":
        return "address";
      case "workload":
        return demand.trustDomain;
      case "listed":
        return demand.allow.map(({ text }) => text.slice("spiffe://".length)).join(",");
    }
  });
  return words.length === 0 ? "anybody" : words.join(" and ");
}

const by = <T>(value: T): { value: T; origin: string } => ({ value, origin: "--option" });

const expectDb = (rest: string): string =>
  `outbound: { expect: [{ to: 10.0.0.0/8, allow: ["spiffe://a.example/x"] }, { to: 10.0.3.0/24, ${rest} }] }`;

describe("a server", () => {
  test.each([
    ["is verified by our own certificate's domain", "{}", "a.example"],
    ["is verified by address if configured", "verify: ip", "address"],
    ["is verified by another domain if configured", "trustDomain: b.example", "b.example"],
    [
      "is verified by the narrowest range",
      expectDb(`allow: ["spiffe://a.example/db"]`),
      "a.example/db",
    ],
    ["is never accepted with an empty list", expectDb("allow: []"), ""],
    ["is verified by address in a range", expectDb("verify: ip"), "address"],
    [
      "is verified by both in a range",
      expectDb(`verify: ip, allow: ["spiffe://b.example/db"]`),
      "address and b.example/db",
    ],
    [
      "is verified by address and list if address is general",
      `verify: ip\n${expectDb(`allow: ["spiffe://a.example/db"]`)}`,
      "address and a.example/db",
    ],
  ])("%s", (_, text, expected) => {
    expect(server(text, "10.0.3.7:5432")).toBe(expected);
  });

  test("of a wider range, of no range, of the other family", () => {
    const text = expectDb("allow: []");
    expect(server(text, "10.0.4.1:1")).toBe("a.example/x");
    expect(server(text, "192.168.0.1:1")).toBe("a.example");
    expect(server(text, "[fd00::1]:1")).toBe("a.example");
  });

  test("is identified by address if our certificate has no ID", () => {
    expect(server("{}", "10.0.0.1:1", null)).toBe("address");
  });
});

describe("a client", () => {
  test.each([
    ["is of our domain", "{}", "a.example"],
    ["is any authenticated one if servers are verified by address", "verify: ip", "anybody"],
    ["is of a configured domain even then", "verify: ip\ntrustDomain: b.example", "b.example"],
    ["is in the list", `inbound: { allow: ["spiffe://a.example/*"] }`, "a.example/*"],
    [
      "is in the port's list",
      `inbound: { allow: ["spiffe://a.example/*"], ports: { 80: { allow: ["spiffe://a.example/w"] } } }`,
      "a.example/w",
    ],
    [
      "is in the general list if the port has only a mode",
      `inbound: { allow: ["spiffe://a.example/*"], ports: { 80: { mode: audit } } }`,
      "a.example/*",
    ],
  ])("%s", (_, text, expected) => {
    expect(client(text, 80)).toBe(expected);
  });
});

test.each(["verify: spiffe", "outbound: { expect: [{ to: 10.0.0.1, verify: spiffe }] }"])(
  "%s requires a trust domain",
  (text) => {
    expect(() => new AppliedPolicy(policyOf(text), null)).toThrow("--trust-domain");
    expect(
      () => new AppliedPolicy(policyOf(`trustDomain: a.example\n${text}`), null),
    ).not.toThrow();
  },
);

describe("file and options", () => {
  const base: Policy = {
    ...defaultPolicy,
    verify: by("ip"),
    inbound: {
      mode: by("passthrough"),
      allow: defaultPolicy.inbound.allow,
      preserveSource: defaultPolicy.inbound.preserveSource,
      ports: [
        {
          ports: singlePort(80),
          mode: by("strict"),
          allow: null,
          preserveSource: null,
          alpn: null,
        },
        {
          ports: singlePort(22),
          mode: by("passthrough"),
          allow: null,
          preserveSource: null,
          alpn: null,
        },
      ],
    },
  };

  test("the file overrides single fields, and the other fields stay", () => {
    const policy = policyOf("inbound: { ports: { 80: { mode: audit }, 90: { allow: [] } } }", base);
    expect(policy.verify).toEqual(by("ip"));
    expect(policy.inbound.mode).toEqual(by("passthrough"));
    expect(policy.inbound.ports).toEqual([
      {
        ports: singlePort(22),
        mode: by("passthrough"),
        allow: null,
        preserveSource: null,
        alpn: null,
      },
      {
        ports: singlePort(80),
        mode: { value: "audit", origin: "p.yaml:1" },
        allow: null,
        preserveSource: null,
        alpn: null,
      },
      {
        ports: singlePort(90),
        mode: null,
        allow: { value: [], origin: "p.yaml:1" },
        preserveSource: null,
        alpn: null,
      },
    ]);
  });

  test("the kernel rules capture the ports without passthrough", () => {
    const policy = policyOf("inbound: { ports: { 80: { mode: audit } } }", base);
    expect(interceptionOf(policy, defaultFixed)).toMatchObject({
      inboundPorts: [singlePort(80)],
      excludedInboundPorts: [singlePort(22)],
      inspectedPorts: { kind: "only", ports: [singlePort(80)] },
    });
  });

  test("where all ports are inspected the strict ones are distinguished", () => {
    const text = "inbound: { mode: permissive, ports: { 443: { mode: strict } } }";
    expect(interceptionOf(policyOf(text), defaultFixed)).toMatchObject({
      inboundPorts: "all",
      excludedInboundPorts: [],
      inspectedPorts: { kind: "all-but", ports: [singlePort(443)] },
    });
  });
});

test("an offered ALPN protocol does not hide the expected identity, whichever range defines either", () => {
  const text = `outbound:
  expect:
    - { to: 10.0.0.0/8, allow: ["spiffe://a.example/db"] }
    - { to: 10.0.3.0/24, alpn: [h2] }
    - { to: 10.0.3.7/32, verify: ip }`;
  const applied = new AppliedPolicy(policyOf(text), parseSpiffeId("spiffe://a.example/me"));
  const of = (address: string) => {
    const original = parseSocketAddress(address);
    return [applied.offered(original), applied.server(original).map(({ kind }) => kind)];
  };
  expect(of("10.0.4.1:1")).toEqual([[], ["listed"]]);
  expect(of("10.0.3.1:1")).toEqual([["h2"], ["listed"]]);
  expect(of("10.0.3.7:1")).toEqual([["h2"], ["address"]]);
});
