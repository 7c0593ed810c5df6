import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";

import {
  describeIdentity,
  identityOf,
  parseCertificate,
  spiffeMistake,
} from "../../../src/identity/certificate.ts";
import { issueAuthority, issueLeaf, type LeafOptions } from "../../../src/identity/issue.ts";

const authority = issueAuthority("an authority");

function leaf(options: LeafOptions): Uint8Array {
  return new X509Certificate(issueLeaf(authority, options).certificatePem).raw;
}

test("names, times and usages are read from the DER", () => {
  const certificate = parseCertificate(
    leaf({
      commonName: "web",
      spiffeId: "spiffe://a.example/web",
      ips: ["10.0.0.1", "fd00::1"],
      dnsNames: ["web.example"],
      notBefore: new Date("2026-01-02T03:04:05Z"),
      notAfter: new Date("2051-01-02T03:04:05Z"),
      usages: ["clientAuth"],
    }),
  );
  expect(certificate).toMatchObject({
    commonName: "web",
    uris: ["spiffe://a.example/web"],
    dnsNames: ["web.example"],
    notBefore: Date.parse("2026-01-02T03:04:05Z"),
    notAfter: Date.parse("2051-01-02T03:04:05Z"),
    usages: ["1.3.6.1.5.5.7.3.2"],
    isAuthority: false,
  });
  expect(certificate.ips.map((ip) => Array.from(ip))).toEqual([
    [10, 0, 0, 1],
    [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ]);
});

test("the CA is recognised as one, and a leaf without usages has none", () => {
  expect(parseCertificate(new X509Certificate(authority.certificatePem).raw).isAuthority).toBe(
    true,
  );
  expect(parseCertificate(leaf({ usages: [], commonName: "x" })).usages).toBeNull();
});

test("a name with a comma or a NUL is one name or none, never two", () => {
  const comma = parseCertificate(leaf({ dnsNames: ["a.example, IP Address:10.0.0.1"] }));
  expect(comma.ips).toEqual([]);
  expect(() => parseCertificate(leaf({ dnsNames: ["a.example\0.evil"] }))).toThrow("printable");
});

test("two URI names are no identity", () => {
  const one = parseCertificate(leaf({ spiffeId: "spiffe://a.example/x" }));
  expect(identityOf(one).spiffeId as string | null).toBe("spiffe://a.example/x");
  expect(identityOf({ ...one, uris: [...one.uris, "spiffe://a.example/y"] }).spiffeId).toBeNull();
});

test("an identity's words are bounded in length and forge no log line", () => {
  const evil = parseCertificate(leaf({ commonName: `a\nI0101 forged ${"x".repeat(200)}` }));
  const words = describeIdentity(identityOf(evil));
  expect(words).not.toContain("\n");
  expect(words.length).toBeLessThan(120);
});

test("a certificate that is truncated or has trailing bytes is refused", () => {
  const der = leaf({ commonName: "x" });
  expect(() => parseCertificate(der.subarray(0, -1))).toThrow();
  expect(() => parseCertificate(new Uint8Array([...der, 0]))).toThrow();
  expect(() => parseCertificate(new Uint8Array(110_000))).toThrow("100 KiB");
});

test.each([4096, 4097])("of %d names at most 4,096 are read", (count) => {
  const dnsNames = Array.from({ length: count }, (_, index) => `n${index}.test`);
  const { certificatePem } = issueLeaf(issueAuthority("many"), { dnsNames });
  const read = (): number =>
    parseCertificate(new X509Certificate(certificatePem).raw).dnsNames.length;
  if (count > 4096) expect(read).toThrow("at most 4,096 names");
  else expect(read()).toBe(count);
});

test.each<[string, LeafOptions, string | null]>([
  ["a SPIFFE ID", { spiffeId: "spiffe://a.example/web" }, null],
  ["only addresses", { ips: ["10.0.0.1"] }, null],
  ["a host name", { dnsNames: ["web.example"] }, null],
  ["a URI name of another kind", { spiffeId: "https://a.example/web" }, "spiffe://"],
  ["a SPIFFE ID without a path", { spiffeId: "spiffe://a.example" }, "path"],
  ["a SPIFFE ID as a DNS name", { dnsNames: ["spiffe://a.example/web"] }, "a DNS name"],
])("the mistake in an own certificate is reported: %s", (_, options, mistake) => {
  const found = spiffeMistake(identityOf(parseCertificate(leaf(options))));
  if (mistake === null) expect(found).toBeNull();
  else expect(found).toContain(mistake);
});
