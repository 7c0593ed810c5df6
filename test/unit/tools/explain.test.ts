/** The answers of `tls-tproxy why`: the rule that decides, and its effect. */
import { expect, test } from "bun:test";

import { defaultFixed, defaultPolicy } from "../../../src/config.ts";
import { parseSpiffeId } from "../../../src/identity/spiffe-id.ts";
import { parseSocketAddress } from "../../../src/net/address.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { effectivePolicy } from "../../../src/policy/effective.ts";
import { explainInbound, explainOutbound, type Explanation } from "../../../src/tools/explain.ts";
import { AppliedPolicy } from "../../../src/policy/applied-policy.ts";
import { parseProbe } from "../../../src/probe/probe.ts";
import { parseCidr } from "../../../src/net/cidr.ts";

const text = `trustDomain: cluster.local
inbound:
  mode: strict
  ports:
    8080: { allow: ["spiffe://cluster.local/ns/default/sa/web"] }
    9090: { mode: permissive }
    9091: { mode: audit }
    22: { mode: passthrough }
    9000: { alpn: [h2, http/1.1] }
outbound:
  mesh: [10.0.0.0/8, "fd00::/8"]
  exclude: [10.96.0.1/32]
  excludePorts: [53]
  expect:
    - { to: 10.0.3.0/24, allow: ["spiffe://cluster.local/ns/db/sa/postgres"] }
    - { to: 10.0.4.0/24, verify: ip }
    - { to: 10.0.3.7/32, alpn: [h2] }
`;
const policy = effectivePolicy(defaultPolicy, parsePolicy(text, "p.yaml"));
const applied = new AppliedPolicy(policy, parseSpiffeId("spiffe://cluster.local/me"));
const fixed = {
  ...defaultFixed,
  excludedDestinations: [parseSocketAddress("10.5.0.1:443")],
  onlyUids: [33],
};

function why(way: typeof explainInbound, address: string, peer?: string): Explanation {
  const question = {
    address: parseSocketAddress(address),
    peer: peer === undefined ? null : parseSpiffeId(peer),
  };
  return way(question, applied, fixed);
}

function textOf({ title, lines }: Explanation): string {
  return [title, ...lines.map(({ text: line }) => line)].join("\n");
}

test.each([
  ["10.0.3.7:5432", "offered by ALPN after our own: h2 (p.yaml:17)"],
  ["10.0.3.7:5432", "10.0.0.0/8 is in the mesh (p.yaml:11), for users 33 only (--only-uid)"],
  ["10.0.3.7:5432", "must be spiffe://cluster.local/ns/db/sa/postgres (p.yaml:15)"],
  ["10.0.4.7:5432", "must name 10.0.4.7 in its certificate"],
  ["10.0.5.7:5432", "must be a workload of the trust domain cluster.local"],
  ["[fd00::1]:80", "fd00::/8 is in the mesh"],
  ["10.96.0.1:443", "in cleartext: 10.96.0.1/32 is excluded (p.yaml:12)"],
  ["10.1.1.1:53", "in cleartext: port 53 is excluded (p.yaml:13)"],
  ["10.5.0.1:443", "in cleartext: it is the API server"],
  ["8.8.8.8:80", "in cleartext: it is in no range of the mesh (p.yaml:11)"],
  ["169.254.169.254:80", "in cleartext: link-local"],
  ["127.0.0.1:80", "in cleartext: loopback"],
])("outbound to %s: %s", (address, says) => {
  expect(textOf(why(explainOutbound, address))).toContain(says);
});

test.each([
  ["10.0.0.1:80", "mutual TLS; plain text is refused (strict, p.yaml:3)"],
  ["10.0.0.1:80", "must be a workload of the trust domain cluster.local"],
  ["10.0.0.1:8080", "must be spiffe://cluster.local/ns/default/sa/web (p.yaml:5)"],
  ["10.0.0.1:9090", "or plain text (permissive, p.yaml:6)"],
  ["10.0.0.1:9091", "or plain text, which the log reports with its sender (audit, p.yaml:7)"],
  ["10.0.0.1:9090", "(ip-port, default); in cleartext the client's address"],
  ["10.0.0.1:22", "in cleartext, as without the proxy (passthrough, p.yaml:8)"],
  ["10.0.0.1:15020", "in cleartext: it is the port of --status-address"],
  ["127.0.0.1:80", "never"],
])("inbound to %s: %s", (address, says) => {
  expect(textOf(why(explainInbound, address))).toContain(says);
});

test.each([
  [explainOutbound, "10.0.3.7:5432", "spiffe://cluster.local/ns/db/sa/postgres", "accepted"],
  [explainOutbound, "10.0.3.7:5432", "spiffe://cluster.local/ns/db/sa/x", "refused (not-allowed)"],
  [explainOutbound, "10.0.5.7:1", "spiffe://other.local/x", "refused (wrong-trust-domain)"],
  [explainInbound, "10.0.0.1:8080", "spiffe://cluster.local/ns/default/sa/web", "accepted"],
  [explainInbound, "10.0.0.1:8080", "spiffe://cluster.local/x", "refused (not-allowed)"],
] as const)("%p %s %s: %s", (way, address, peer, says) => {
  const { lines, refused } = why(way, address, peer);
  expect(lines.at(-1)?.text).toBe(`${peer}: ${says}`);
  expect(refused).toBe(says !== "accepted");
});

test.each([
  [
    "bypass",
    80,
    "from 10.0.0.7/32 (--probe-source): everything in cleartext (--probe http:80/live,",
  ],
  ["inspect", 80, "declared probes in cleartext, and connections without data (--probe"],
  ["inspect", 81, "from 10.0.0.7/32 (--probe-source): declared probes in cleartext (--probe"],
  ["inspect", 82, "connections without data, and nothing else (--probe tcp:82,"],
] as const)("probes by %s, inbound to port %d: %s", (mode, port, says) => {
  const declared = ["http:80/live", "tcp:80", "grpc:81", "tcp:82"].map(parseProbe);
  const sources = ["10.0.0.7", "fd00::7"].map(parseCidr);
  const probes = { mode, declared, sources };
  const question = { address: parseSocketAddress(`10.0.0.1:${port}`), peer: null };
  const shown = textOf(explainInbound(question, applied, { ...fixed, probes }));
  expect(shown).toContain(says);
  expect(shown).toContain("mutual TLS; plain text is refused");
});

test.each(["10.0.0.1:83", "10.0.0.1:22"])("no probe is named at %s", (address) => {
  const declared = ["http:80/live", "tcp:22"].map(parseProbe);
  const probes = { mode: "bypass", declared, sources: [parseCidr("10.0.0.7")] } as const;
  const question = { address: parseSocketAddress(address), peer: null };
  expect(textOf(explainInbound(question, applied, { ...fixed, probes }))).not.toContain("--probe");
});
