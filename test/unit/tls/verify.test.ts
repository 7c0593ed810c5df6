import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";

import { parseCertificate, type PeerCertificate } from "../../../src/identity/certificate.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { parseSocketAddress } from "../../../src/net/address.ts";
import { faultFrom } from "../../../src/net/fault.ts";
import type { Expectation } from "../../../src/policy/authorize.ts";
import { verifyPeer, type PeerEvidence } from "../../../src/tls/verify.ts";

const leaf = issueLeaf(issueAuthority("a"), {
  spiffeId: "spiffe://a.example/b",
  ips: ["10.0.0.1", "fd00::1"],
});
const certificate = parseCertificate(new X509Certificate(leaf.certificatePem).raw);
const now = Date.now();

function at(address: string): Expectation {
  return [{ kind: "address", address: parseSocketAddress(address) }];
}

const server: PeerEvidence = {
  role: "server",
  handshakeError: "ERR_TLS_CERT_ALTNAME_INVALID",
  certificate,
  expect: at("10.0.0.1:80"),
  now,
};
const client: PeerEvidence = {
  ...server,
  role: "client",
  handshakeError: null,
  expect: [],
};

test("a valid server and a valid client are accepted with their identities", () => {
  for (const evidence of [server, client, { ...server, handshakeError: null }])
    expect(verifyPeer(evidence)).toMatchObject({
      kind: "accept",
      identity: { spiffeId: "spiffe://a.example/b" },
    });
});

test("an IPv6 address is looked for among the IPv6 names", () => {
  const evidence = { ...server, expect: at("[fd00::1]:80") };
  expect(verifyPeer(evidence).kind).toBe("accept");
});

const changed = (change: Partial<PeerCertificate>): PeerCertificate => ({
  ...certificate,
  ...change,
});

test.each([
  ["no-certificate", { ...server, handshakeError: null, certificate: null }],
  ["not-tls", { ...server, handshakeError: "WRONG_VERSION_NUMBER", certificate: null }],
  ["no-certificate", { ...client, certificate: null }],
  ["expired", { ...client, now: certificate.notAfter + 1 }],
  ["expired", { ...server, now: certificate.notAfter + 1 }],
  ["not-yet-valid", { ...client, now: certificate.notBefore - 1 }],
  ["ca-as-leaf", { ...client, certificate: changed({ isAuthority: true }) }],
  ["wrong-purpose", { ...client, certificate: changed({ usages: ["1.3.6.1.5.5.7.3.1"] }) }],
  ["wrong-purpose", { ...server, certificate: changed({ usages: ["1.3.6.1.5.5.7.3.2"] }) }],
  ["wrong-purpose", { ...server, certificate: changed({ usages: [] }) }],
  ["untrusted-chain", { ...client, handshakeError: "ERR_TLS_CERT_ALTNAME_INVALID" }],
  ["untrusted-chain", { ...server, handshakeError: faultFrom("DEPTH_ZERO_SELF_SIGNED_CERT") }],
  ["untrusted-chain", { ...server, handshakeError: faultFrom("SOMETHING_NEW") }],
  ["untrusted-chain", { ...client, handshakeError: faultFrom("CERT_HAS_EXPIRED") }],
  ["wrong-address", { ...server, expect: at("10.0.0.2:80") }],
  ["wrong-address", { ...server, expect: at("[fd00::2]:80") }],
  ["wrong-address", { ...server, certificate: changed({ ips: [] }) }],
] as const)("%s", (reason, evidence) => {
  expect(verifyPeer(evidence)).toMatchObject({ kind: "refuse", reason });
});

test("a wrong address is reported in the words of the original's log", () => {
  const names = [Uint8Array.of(127, 0, 0, 1), parseSocketAddress("[::1]:1").bytes];
  const verdict = verifyPeer({
    ...server,
    certificate: changed({ ips: names }),
    expect: at("10.244.2.21:443"),
  });
  expect(verdict).toMatchObject({
    detail: "certificate is valid for 127.0.0.1, ::1, not 10.244.2.21",
  });
});

test("a certificate without the extension may be used for anything", () => {
  expect(verifyPeer({ ...client, certificate: changed({ usages: null }) }).kind).toBe("accept");
});

const member: PeerEvidence = {
  ...client,
  expect: [{ kind: "workload", trustDomain: "a.example" }],
};

test("a workload of the trust domain is accepted as client and as server, at any address", () => {
  const asServer = {
    ...member,
    role: "server",
    handshakeError: "ERR_TLS_CERT_ALTNAME_INVALID",
  } as const;
  for (const evidence of [member, asServer]) expect(verifyPeer(evidence).kind).toBe("accept");
});

test.each([
  ["no-spiffe-id", "no URI name", { uris: [] }],
  ["no-spiffe-id", "2 URI names", { uris: ["spiffe://a.example/b", "spiffe://a.example/c"] }],
  ["no-spiffe-id", "a DNS name, not a URI", { uris: [], dnsNames: ["spiffe://a.example/b"] }],
  ["no-spiffe-id", "ends with a slash", { uris: ["spiffe://a.example/b/"] }],
  ["no-spiffe-id", "percent-encoded", { uris: ["spiffe://a.example/%62"] }],
  ["no-spiffe-id", "scheme is not in lower case", { uris: ["SPIFFE://a.example/b"] }],
  ["no-spiffe-id", "does not begin", { uris: ["https://a.example/b"] }],
  ["wrong-trust-domain", "not of the trust domain a.example", { uris: ["spiffe://b.example/b"] }],
  ["wrong-trust-domain", "not of the trust", { uris: ["spiffe://a.example.org/b"] }],
] as const)("%s: %s", (reason, says, change) => {
  const verdict = verifyPeer({ ...member, certificate: changed(change) });
  expect(verdict).toMatchObject({ kind: "refuse", reason, detail: expect.stringContaining(says) });
});
