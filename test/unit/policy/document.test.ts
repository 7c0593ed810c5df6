/** Every mistake in a policy file names its line, its field and the remedy. */
import { describe, expect, test } from "bun:test";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { parsePolicy } from "../../../src/policy/document.ts";

function messageOf(text: string): string {
  try {
    parsePolicy(text, "p.yaml");
    return "no mistake";
  } catch (error) {
    if (error instanceof ProxyError && error.code === "POLICY_INVALID") return error.message;
    throw error;
  }
}

describe("a single mistake", () => {
  test.each([
    ["", "it is empty, as a half-written file would be. Write {}"],
    ["# only a comment\n", "it is empty"],
    ["{", "line 1: Flow map must end with a }"],
    ["a: 1\na: 2", "line 2: Map keys must be unique"],
    ["--- {}\n--- {}", "line 2: the file must be one YAML document, not several"],
    ["\t- x", "line 1: Tabs are not allowed"],
    ["trustDomain: !!js/x y", "line 1: Unresolved tag"],
    ["%YAML 1.1\n---\noutbound: { ports: [010] }", "line 1: by YAML 1.1 010 is 8, 1:30 is 90"],
    ["outbound:\n  ports: [010]", 'line 2: "010" is read as 10. Write a number in decimal digits'],
    ["outbound: { ports: [0x50] }", 'line 1: "0x50" is read as 80.'],
    ["outbound: { ports: [0o120] }", 'line 1: "0o120" is read as 80.'],
    ["outbound: { ports: [8e1] }", 'line 1: "8e1" is read as 80.'],
    ["outbound: { ports: [80.0] }", 'line 1: "80.0" is read as 80.'],
    ["outbound: { ports: [+80] }", 'line 1: "+80" is read as 80.'],
    ["inbound: { ports: { 0x50: {} } }", 'line 1: "0x50" is read as 80.'],
    ['outbound: { ports: [!!int "80"] }', "line 1: write the value without a tag"],
    ["inbound: !!map { mode: strict }", "line 1: write the value without a tag"],
    ["[1]", "line 1: these fields are expected: trustDomain, verify, inbound, outbound."],
    [
      "inbound:",
      "line 1, inbound: it has no value. The fields here are mode, allow, preserveSource and ports.",
    ],
    ["trustDomain: 5", "line 1, trustDomain: 5. Write a trust domain"],
    ["trustDomain: A.example", 'line 1, trustDomain: "A.example". Write a trust domain'],
    ["verify: dns", 'line 1, verify: "dns". Write spiffe or ip.'],
    ["inbound:\n  mode: strickt", 'line 2, inbound.mode: "strickt". Write strict, audit,'],
    [
      "inbound:\n  mod: strict",
      'line 2, inbound.mod: there is no field "mod". The fields here are',
    ],
    ["inbound:\n  ports:\n    x: {}", 'line 3, inbound.ports.x: "x". It must be a port'],
    ["inbound:\n  ports:\n    65536: {}", "line 3, inbound.ports.65536: "],
    ['inbound:\n  ports:\n    80: {}\n    "80": {}', "line 4: Map keys must be unique"],
    ["inbound: { ports: { 80: strict } }", 'line 1, inbound.ports.80: "strict". The fields'],
    ["inbound:\n  allow: spiffe://a/b", 'line 2, inbound.allow: "spiffe://a/b". Write a list'],
    ["inbound:\n  allow:\n  - spiffe://a/b\n  - spiffe://a/b*", "line 4, inbound.allow[1]: "],
    ['inbound: { allow: ["spiffe://*/b"] }', "* is not allowed in the trust domain"],
    ['inbound: { allow: ["spiffe://a/b/"] }', "it ends with a slash"],
    ["outbound: { mesh: 10.0.0.0/8 }", 'line 1, outbound.mesh: "10.0.0.0/8". Write a list of'],
    ["outbound: { mesh: [10.0.0.0/33] }", 'line 1, outbound.mesh[0]: "10.0.0.0/33". Write a range'],
    ["outbound: { ports: [8100-8000] }", 'line 1, outbound.ports[0]: "8100-8000". Write a port'],
    ["outbound: { ports: [80.5] }", "line 1, outbound.ports[0]: 80.5. Write a port"],
    ["inbound: { ports: { 80-70: {} } }", "line 1, inbound.ports.80-70: "],
    [
      "inbound: { ports: { 80-90: {}, 85-95: {} } }",
      "line 1, inbound.ports.85-95: it overlaps 80-90 in line 1.",
    ],
    ["inbound: { ports: { 80: {}, 80-80: {} } }", "it overlaps 80"],
    [
      "inbound:\n  ports:\n    1-100: {}\n    20-30: {}\n    29-101: {}",
      "line 5, inbound.ports.29-101: it overlaps 20-30 in line 4.",
    ],
    ["outbound: { excludePorts: [0] }", "line 1, outbound.excludePorts[0]: 0. Write a port"],
    ["outbound:\n  expect:\n  - { allow: [] }", "line 3, outbound.expect[0].to: it is missing."],
    [
      "outbound:\n  expect:\n  - { to: 10.0.0.1 }",
      "line 3, outbound.expect[0]: Add allow, verify or both",
    ],
    [
      "outbound:\n  expect:\n  - { to: 10.0.0.0/8, verify: ip }\n  - { to: 10.1.0.0/8, verify: ip }",
      "line 4, outbound.expect[1].to: 10.0.0.0/8 is in line 3 already.",
    ],
    [`x: ${"a".repeat(300_000)}`, "it is longer than 262144 characters"],
  ])("%j", (text, says) => {
    expect(messageOf(text)).toStartWith("p.yaml: ");
    expect(messageOf(text)).toContain(says);
  });
});

test("all mistakes are reported at once, one line each", () => {
  const text = "verify: x\ninbound: { mode: y }\noutbound: { excludePorts: [z] }";
  expect(messageOf(text).split("\n")).toEqual([
    "p.yaml: 3 mistakes",
    expect.stringContaining("line 1, verify"),
    expect.stringContaining("line 2, inbound.mode"),
    expect.stringContaining("line 3, outbound.excludePorts[0]"),
  ]);
});

test("a few lines that expand to millions are refused", () => {
  const levels = ["a: &a [x,x,x,x,x,x,x,x,x]"];
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  for (const [before, one] of names.slice(1).map((name, at) => [names[at], name]))
    levels.push(`${one}: &${one} [${Array.from({ length: 9 }, () => `*${before}`).join(",")}]`);
  expect(messageOf(levels.join("\n"))).toBe("p.yaml: too many aliases");
});

test("an error message quotes no more of the file than necessary", () => {
  expect(messageOf(`verify: ${"s".repeat(5000)}`).length).toBeLessThan(200);
});

test("each field has its line number", () => {
  const { originOf } = parsePolicy(
    "inbound:\n  ports:\n    80:\n      mode: audit\noutbound:\n  expect:\n  - { to: 10.0.0.1, verify: ip }",
    "p.yaml",
  );
  expect(originOf(["inbound", "ports", "80", "mode"])).toBe("p.yaml:4");
  expect(originOf(["outbound", "expect", 0])).toBe("p.yaml:7");
});
