/** Which cleartext connections must end, because the next policy would divert them. */
import { describe, expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../../src/config.ts";
import type { Fixed } from "../../../../src/intercept/rules/interception.ts";
import { becomesDiverted } from "../../../../src/intercept/cleartext/becomes-diverted.ts";
import { parseSpiffeId } from "../../../../src/identity/spiffe-id.ts";
import type { Tuple } from "../../../../src/intercept/kernel/proc-tcp.ts";
import { parseSocketAddress } from "../../../../src/net/address.ts";
import { parsePolicy } from "../../../../src/policy/document.ts";
import { effectivePolicy } from "../../../../src/policy/effective.ts";
import { AppliedPolicy } from "../../../../src/policy/applied-policy.ts";
import { parseProbe } from "../../../../src/probe/probe.ts";
import { parseCidr } from "../../../../src/net/cidr.ts";

const own = parseSpiffeId("spiffe://a.example/me");
const applied = (text: string): AppliedPolicy =>
  new AppliedPolicy(effectivePolicy(defaultPolicy, parsePolicy(text, "p.yaml")), own);

/** "10.0.0.1:80 10.0.0.2:4000": our own end first. */
function tuple(text: string): Tuple {
  const [source, destination] = text.split(" ").map((one) => parseSocketAddress(one));
  if (source === undefined || destination === undefined) throw new Error(text);
  return {
    inode: "1",
    uid: 0,
    isOpening: false,
    source: source.bytes,
    sourcePort: source.port,
    destination: destination.bytes,
    destinationPort: destination.port,
  };
}

type Question = {
  readonly before: string;
  readonly after: string;
  readonly connection: string;
  readonly fixed?: Partial<Fixed>;
  readonly listening?: readonly number[];
};

function ends({ before, after, connection, fixed = {}, listening = [80] }: Question): boolean {
  const all = { ...defaultFixed, ...fixed };
  return becomesDiverted(
    applied(before),
    applied(after),
    all,
    new Set(listening),
  )(tuple(connection));
}

const open = "inbound: { ports: { 80: { mode: passthrough } } }";
const closed = "inbound: { ports: { 80: { mode: strict } } }";
const audited = "inbound: { ports: { 80: { mode: audit } } }";
const narrow = 'outbound: { mesh: ["10.0.0.0/16"] }';
const wide = 'outbound: { mesh: ["10.0.0.0/8", "fd00::/8"] }';
const inward = "10.0.0.1:80 192.0.2.7:4000";
const outward = "10.0.0.1:4000 10.9.0.2:80";

describe("ends", () => {
  const questions: readonly (readonly [string, Question])[] = [
    ["a port that was passthrough", { before: open, after: closed, connection: inward }],
    ["a port that admits cleartext", { before: open, after: audited, connection: inward }],
    ["a range that joins the mesh", { before: narrow, after: wide, connection: outward }],
    [
      "a range of IPv6 that joins the mesh",
      { before: narrow, after: wide, connection: "[fd00::1]:4000 [fd00::2]:80" },
    ],
    [
      "a range that is no longer excluded",
      {
        before: 'outbound: { exclude: ["10.9.0.0/16"] }',
        after: "{}",
        connection: outward,
      },
    ],
    [
      "an outbound port that is no longer excluded",
      { before: "outbound: { excludePorts: [80] }", after: "{}", connection: outward },
    ],
    [
      "inbound, for any selected users",
      { before: open, after: closed, connection: inward, fixed: { onlyUids: [33] } },
    ],
    [
      "outbound from a port with the number of an open one, without a listener",
      {
        before: `${open}\n${narrow}`,
        after: `${open}\n${wide}`,
        connection: "10.0.0.1:80 10.9.0.2:4000",
        listening: [],
      },
    ],
  ];

  test.each(questions)("%s", (_, question) => {
    expect(ends(question)).toBe(true);
  });
});

describe("stays", () => {
  const both = { before: narrow, after: wide, connection: outward };
  const questions: readonly (readonly [string, Question])[] = [
    ["where nothing changes", { before: wide, after: wide, connection: outward }],
    [
      "that was in cleartext, from strict to passthrough",
      { before: closed, after: open, connection: inward },
    ],
    ["on a port that stays open", { before: open, after: open, connection: inward }],
    ["on a port that was never open", { before: closed, after: audited, connection: inward }],
    ["out of the mesh", { ...both, connection: "10.0.0.1:4000 192.0.2.7:80" }],
    ["in the mesh as before", { ...both, connection: "10.0.0.1:4000 10.0.0.2:80" }],
    ["to an address that leaves the mesh", { before: wide, after: narrow, connection: outward }],
    [
      "a reply of an open port into a range that joins",
      {
        before: `${open}\n${narrow}`,
        after: `${open}\n${wide}`,
        connection: "10.0.0.1:80 10.9.0.2:4000",
      },
    ],
    [
      "outbound from a port without a listener that the policy closes",
      {
        before: "inbound: { mode: passthrough }",
        after: "{}",
        connection: "10.0.0.1:4000 192.0.2.7:80",
        fixed: { onlyUids: [33] },
      },
    ],
    ["the status server's", { before: open, after: closed, connection: inward, fixed: status(80) }],
    ["outbound with excluded users", { ...both, fixed: { excludedUids: [33] } }],
    ["outbound with selected users", { ...both, fixed: { onlyUids: [33] } }],
    ["outbound with no user selected", { ...both, fixed: { onlyUids: [] } }],
  ];

  test.each(questions)("%s", (_, question) => {
    expect(ends(question)).toBe(false);
  });
});

const probed = (text: string, mode: "bypass" | "inspect"): Partial<Fixed> => ({
  probes: { mode, declared: [parseProbe(text)], sources: [parseCidr("192.0.2.7")] },
});

test.each([
  ["bypass", "http:80/healthz", false],
  ["bypass", "http:81/healthz", true],
  ["inspect", "tcp:80", false],
  ["inspect", "http:80/healthz", true],
] as const)("%s of %s: a connection from the node ends: %p", (mode, text, is) => {
  const fixed = probed(text, mode);
  expect(ends({ before: open, after: closed, connection: inward, fixed })).toBe(is);
  const elsewhere = "10.0.0.1:80 192.0.2.8:4000";
  expect(ends({ before: open, after: closed, connection: elsewhere, fixed })).toBe(true);
});

function status(statusPort: number): Partial<Fixed> {
  return { statusPort };
}
