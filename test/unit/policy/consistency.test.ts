/** Policies and options that contradict each other, each with a similar one that does not. */
import { describe, expect, test } from "bun:test";

import { defaultPolicy } from "../../../src/config.ts";
import { parseCidr } from "../../../src/net/cidr.ts";
import { singlePort } from "../../../src/net/ports.ts";
import { assertConsistent } from "../../../src/policy/consistency.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { modeOf, type Policy } from "../../../src/policy/policy.ts";

function faultsOf(text: string, base: Policy = defaultPolicy): string {
  try {
    assertConsistent(effectivePolicy(base, parsePolicy(text, "p.yaml")));
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

const id = 'allow: ["spiffe://a.example/x"]';

describe("contradictory", () => {
  test.each([
    [
      "loopback in the mesh",
      "outbound: { mesh: [default, 127.0.0.0/8] }",
      "p.yaml:1: mesh range 127.0.0.0/8 is never diverted",
    ],
    ["a part of loopback in the mesh", "outbound: { mesh: [127.0.0.1] }", "127.0.0.1/32 is never"],
    ["IPv6 loopback in the mesh", 'outbound: { mesh: ["::1"] }', "::1/128 is never"],
    ["link-local in the mesh", 'outbound: { mesh: ["fe80::/64"] }', "fe80::/64 is never"],
    ["multicast in the mesh", "outbound: { mesh: [224.0.0.0/24] }", "224.0.0.0/24 is never"],
    [
      "an expected peer in a range that is never diverted",
      "outbound: { expect: [{ to: 169.254.1.1, verify: ip }] }",
      "p.yaml:1: expect.to 169.254.1.1/32 is never",
    ],
    [
      "an excluded mesh",
      "outbound: { mesh: [10.0.0.0/8], exclude: [10.0.0.0/8] }",
      "10.0.0.0/8 is excluded as a whole",
    ],
    [
      "a mesh range inside an exclusion",
      "outbound: { mesh: [default, 11.0.0.0/24], exclude: [11.0.0.0/8] }",
      "11.0.0.0/24 is excluded",
    ],
    [
      "a mesh range excluded in two halves",
      "outbound: { mesh: [11.0.0.0/8], exclude: [11.0.0.0/9, 11.128.0.0/9] }",
      "11.0.0.0/8 is excluded",
    ],
    [
      "exclusion of all default ranges",
      'outbound: { exclude: [0.0.0.0/0, "::/0"] }',
      "p.yaml:1: mesh range 10.0.0.0/8",
    ],
    [
      "a port both selected and excluded",
      "outbound: { ports: [80, 8000-8100], excludePorts: [8050] }",
      "outbound port 8050 is both",
    ],
    [
      "every port excluded",
      "outbound: { excludePorts: [1-65535] }",
      "every outbound port is excluded",
    ],
    ["an empty list of ports", "outbound: { ports: [] }", "p.yaml:1: no outbound port is diverted"],
    [
      "an expected peer in an excluded range",
      `outbound: { exclude: [10.5.0.0/16], expect: [{ to: 10.5.1.0/24, ${id} }] }`,
      "p.yaml:1: expect.to 10.5.1.0/24 is excluded as a whole (p.yaml:1)",
    ],
    [
      "an expected peer in a range excluded in two halves",
      'outbound: { exclude: ["fd00::/9", "fd80::/9"], expect: [{ to: "fd00::/8", verify: ip }] }',
      "expect.to fd00::/8 is excluded",
    ],
    [
      "an expected peer outside the mesh",
      `outbound: { expect: [{ to: 203.0.113.0/24, ${id} }] }`,
      "p.yaml:1: expect.to 203.0.113.0/24 is outside of the mesh (default)",
    ],
    [
      "an expected IPv6 peer with an IPv4 mesh",
      'outbound: { mesh: [10.0.0.0/8], expect: [{ to: "fd00::1", verify: ip }] }',
      "p.yaml:1: expect.to fd00::1/128 is outside of the mesh (p.yaml:1)",
    ],
    [
      "passthrough with a protocol",
      "inbound: { ports: { 80: { mode: passthrough, alpn: [h2] } } }",
      "p.yaml:1: inbound port 80 is passed through in cleartext (p.yaml:1), so alpn has no effect",
    ],
    [
      "passthrough everywhere with a port's source addresses",
      "inbound: { mode: passthrough, ports: { 80-90: { preserveSource: off } } }",
      "inbound port 80-90 is passed through in cleartext (p.yaml:1), so preserveSource has no effect",
    ],
    [
      "passthrough with allow",
      `inbound: { ports: { 80: { mode: passthrough, ${id} } } }`,
      "p.yaml:1: inbound port 80 is passed through",
    ],
    [
      "passthrough everywhere with a port's allow",
      `inbound: { mode: passthrough, ports: { 80: { ${id} } } }`,
      "inbound port 80 is passed through",
    ],
    [
      "passthrough everywhere with the general allow",
      `inbound: { mode: passthrough, ${id} }`,
      "every inbound port is passed through",
    ],
    [
      "a foreign trust domain",
      `trustDomain: b.example\ninbound: { ${id} }`,
      "p.yaml:2: allow names spiffe://a.example/x, which is not of the trust domain b.example (p.yaml:1)",
    ],
    [
      "a foreign trust domain at a port",
      `trustDomain: b.example\ninbound: { ports: { 80: { ${id} } } }`,
      "spiffe://a.example/x",
    ],
    [
      "a foreign trust domain of an expected peer",
      `trustDomain: b.example\noutbound: { expect: [{ to: 10.0.0.1, ${id} }] }`,
      "spiffe://a.example/x",
    ],
  ])("%s", (_, text, words) => {
    expect(faultsOf(text)).toContain(words);
  });
});

describe("consistent", () => {
  test.each([
    ["nothing", "{}"],
    ["everything in the mesh", 'outbound: { mesh: [0.0.0.0/0, "::/0"] }'],
    ["one of the default ranges excluded", "outbound: { exclude: [10.0.0.0/8] }"],
    ["a hole in a range", "outbound: { mesh: [11.0.0.0/8], exclude: [11.0.0.0/24] }"],
    [
      "an expected peer around a hole",
      `outbound: { exclude: [10.5.0.0/16], expect: [{ to: 10.0.0.0/8, ${id} }] }`,
    ],
    [
      "a protocol offered in an excluded range",
      "outbound: { exclude: [10.5.0.0/16], expect: [{ to: 10.5.0.0/16, alpn: [h2] }] }",
    ],
    [
      "a protocol offered outside the mesh",
      "outbound: { expect: [{ to: 203.0.113.0/24, alpn: [h2] }] }",
    ],
    [
      "an expected peer in a range larger than the mesh",
      `outbound: { mesh: [10.5.0.0/16], expect: [{ to: 10.0.0.0/8, ${id} }] }`,
    ],
    [
      "an expected peer without any mesh",
      `outbound: { mesh: [], expect: [{ to: 10.0.0.0/8, ${id} }] }`,
    ],
    [
      "a passthrough port within a range with settings",
      "inbound: { ports: { 80-90: { alpn: [h2], preserveSource: ip }, 85: { mode: passthrough } } }",
    ],
    ["loopback excluded", "outbound: { exclude: [127.0.0.0/8] }"],
    ["no mesh at all", "outbound: { mesh: [], exclude: [10.0.0.0/8] }"],
    ["ports beside excluded ones", "outbound: { ports: [80-90], excludePorts: [91] }"],
    [
      "a list for the intercepted ports",
      `inbound: { mode: passthrough, ${id}, ports: { 80: { mode: strict } } }`,
    ],
    ["a list in audit mode", `inbound: { mode: audit, ${id} }`],
    ["our own trust domain", `trustDomain: a.example\ninbound: { ${id} }`],
    ["a trust domain that is not configured", `inbound: { ${id} }`],
  ])("%s", (_, text) => {
    expect(faultsOf(text)).toBe("");
  });
});

test("all contradictions are named, in line order", () => {
  const text = `outbound:\n  exclude: [10.0.0.0/8]\n  mesh: [10.0.0.0/8, 224.0.0.0/4]\ninbound:\n  mode: passthrough\n  ${id}\n`;
  const lines = faultsOf(text).split("\n");
  expect(lines[0]).toBe("3 contradictions");
  expect(lines.slice(1).map((line) => /p\.yaml:(\d+)/.exec(line)?.[1])).toEqual(["3", "3", "6"]);
});

test("a contradiction between options alone is an error on the command line", () => {
  const { outbound } = defaultPolicy;
  const mesh = { value: [parseCidr("ff00::/8")], origin: "--mesh-cidr" };
  const policy = { ...defaultPolicy, outbound: { ...outbound, mesh } };
  expect(() => {
    assertConsistent(policy);
  }).toThrow(expect.objectContaining({ code: "USAGE" }) as Error);
});

function scoped(...ports: readonly number[]): Policy {
  return {
    ...defaultPolicy,
    inbound: {
      ...defaultPolicy.inbound,
      mode: { value: "passthrough", origin: "--inbound-port" },
      ports: ports.map((port) => ({
        ports: singlePort(port),
        mode: { value: "strict", origin: "--inbound-port" },
        allow: null,
        preserveSource: null,
        alpn: null,
      })),
    },
  };
}

function modes(text: string, ...ports: readonly number[]): string {
  const policy = effectivePolicy(scoped(8080), parsePolicy(text, "p.yaml"));
  return ports.map((port) => modeOf(policy, port).value).join(" ");
}

describe("--inbound-port with a mode in the file", () => {
  test("the mode applies to these ports, and the others stay open", () => {
    expect(modes("inbound: { mode: audit }", 22, 8080)).toBe("passthrough audit");
    expect(modes("inbound: { mode: strict }", 22, 8080)).toBe("passthrough strict");
    expect(modes("inbound: { mode: passthrough }", 22, 8080)).toBe("passthrough strict");
    expect(
      modes(
        "inbound: { mode: audit, ports: { 8080: { mode: strict }, 9090: { mode: permissive } } }",
        22,
        8080,
        9090,
      ),
    ).toBe("passthrough strict permissive");
  });

  test("none together with a mode is refused", () => {
    const text = parsePolicy("inbound: { mode: audit }", "p.yaml");
    expect(() => effectivePolicy(scoped(), text)).toThrow(
      "p.yaml:1: inbound.mode audit contradicts --inbound-port none",
    );
  });
});
