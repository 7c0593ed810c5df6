/** Which cleartext connections the current rules would refuse: only those are reset at the start. */
import { describe, expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../../src/config.ts";
import type { Fixed } from "../../../../src/intercept/rules/interception.ts";
import { refusedInCleartext } from "../../../../src/intercept/cleartext/refused.ts";
import type { Tuple } from "../../../../src/intercept/kernel/proc-tcp.ts";
import { parseSocketAddress } from "../../../../src/net/address.ts";
import { parseCidr } from "../../../../src/net/cidr.ts";
import { parsePolicy } from "../../../../src/policy/document.ts";
import { effectivePolicy } from "../../../../src/policy/effective.ts";
import { parseProbe } from "../../../../src/probe/probe.ts";

type Question = {
  /** Our own end first. */
  readonly connection: string;
  readonly policy?: string;
  readonly fixed?: Partial<Fixed>;
  readonly listening?: readonly number[];
  readonly uid?: number;
};

function refused({
  connection,
  policy = "{}",
  fixed = {},
  listening = [80],
  uid = 0,
}: Question): string | null {
  const of = effectivePolicy(defaultPolicy, parsePolicy(policy, "p.yaml"));
  const ends = { listening: new Set(listening), ephemeral: { first: 32_768, last: 60_999 } };
  return refusedInCleartext(of, { ...defaultFixed, ...fixed }, ends)(tuple(connection, uid));
}

function tuple(text: string, uid: number): Tuple {
  const [own, other] = text.split(" ").map((one) => parseSocketAddress(one));
  if (own === undefined || other === undefined) throw new Error(text);
  return {
    inode: "1",
    uid,
    isOpening: false,
    source: own.bytes,
    sourcePort: own.port,
    destination: other.bytes,
    destinationPort: other.port,
  };
}

const inward = "10.0.0.1:80 192.0.2.7:4000";
const outward = "10.0.0.1:40000 10.9.0.2:443";

const at80 = (mode: string): string => `inbound: { ports: { 80: { mode: ${mode} } } }`;

describe("is refused", () => {
  test.each<readonly [string, "inbound" | "outbound", Question]>([
    ["at a strict port, from anywhere", "inbound", { connection: inward }],
    ["at a strict port, IPv6", "inbound", { connection: "[fd00::1]:80 [2001:db8::7]:4000" }],
    [
      "at a strict port, whatever the outbound exclusions",
      "inbound",
      { connection: inward, fixed: { excludedUids: [0] } },
    ],
    ["into the mesh", "outbound", { connection: outward }],
    ["into the mesh, IPv6", "outbound", { connection: "[fd00::1]:40000 [fd00::2]:443" }],
    [
      "into the mesh, by the selected user",
      "outbound",
      { connection: outward, uid: 33, fixed: { onlyUids: [33] } },
    ],
    [
      "into the mesh from an open port that is ephemeral and has no listener",
      "outbound",
      { connection: outward, policy: "inbound: { ports: { 40000: { mode: permissive } } }" },
    ],
    [
      "a former server's, if both views agree",
      "inbound",
      { connection: "10.0.0.1:80 10.9.0.2:4000", listening: [] },
    ],
  ])("%s", (_, way, question) => {
    expect(refused(question)).toBe(way);
  });
});

describe("stays", () => {
  const probes = {
    mode: "inspect",
    declared: [parseProbe("http:80/healthz")],
    sources: [parseCidr("192.0.2.7")],
  } as const;
  test.each<readonly [string, Question]>([
    ...["permissive", "audit", "passthrough"].map(
      (mode) => [`at a port that is ${mode}`, { connection: inward, policy: at80(mode) }] as const,
    ),
    [
      "at a probed port, from the node, even where requests are read",
      { connection: inward, fixed: { probes } },
    ],
    ["at the status port", { connection: "10.0.0.1:15020 192.0.2.7:4000", listening: [15_020] }],
    ["out of the mesh", { connection: "10.0.0.1:40000 192.0.2.7:443" }],
    [
      "to an excluded range",
      { connection: outward, policy: 'outbound: { exclude: ["10.9.0.0/16"] }' },
    ],
    ["to an excluded port", { connection: outward, policy: "outbound: { excludePorts: [443] }" }],
    [
      "to an excluded destination",
      {
        connection: outward,
        fixed: { excludedDestinations: [parseSocketAddress("10.9.0.2:443")] },
      },
    ],
    ["of an excluded user", { connection: outward, uid: 1337, fixed: { excludedUids: [1337] } }],
    [
      "by a user other than the selected one",
      { connection: outward, uid: 34, fixed: { onlyUids: [33] } },
    ],
    ["to a link-local address", { connection: "[fe80::1]:40000 [fe80::2]:443" }],
    [
      "a former permissive server's",
      { connection: "10.0.0.1:80 10.9.0.2:4000", listening: [], policy: at80("permissive") },
    ],
    [
      "a client's that has chosen its port, to outside the mesh",
      { connection: "10.0.0.1:5000 192.0.2.7:443", listening: [] },
    ],
  ])("%s", (_, question) => {
    expect(refused(question)).toBe(null);
  });
});
