import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";

import { CertificateCache, certificatesMax } from "../../../src/identity/certificate-cache.ts";
import { parseCertificate } from "../../../src/identity/certificate.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";

const authority = issueAuthority("test authority");

function derOf(spiffeId: string): Buffer {
  return new X509Certificate(issueLeaf(authority, { spiffeId }).certificatePem).raw;
}

test("a certificate is parsed once, and each certificate separately", () => {
  const cache = new CertificateCache();
  const [one, other] = [derOf("spiffe://test.example/one"), derOf("spiffe://test.example/other")];
  expect(cache.read(one)).toEqual(parseCertificate(one));
  expect(cache.read(Buffer.from(one))).toBe(cache.read(one));
  expect(cache.read(other).uris).toEqual(["spiffe://test.example/other"]);
});

test("one changed byte makes another certificate", () => {
  const cache = new CertificateCache();
  const der = derOf("spiffe://test.example/one");
  const changed = Buffer.from(der);
  const at = changed.indexOf("test.example/one") + "test.example/".length;
  changed.write("two", at);
  cache.read(der);
  expect(cache.read(changed).uris).toEqual(["spiffe://test.example/two"]);
});

test("an unreadable certificate is refused each time", () => {
  const cache = new CertificateCache();
  for (let turn = 0; turn < 2; turn += 1)
    expect(() => cache.read(Buffer.from("no certificate"))).toThrow(/not/);
});

test("peers cannot make the cache grow: the oldest entry is dropped", () => {
  const cache = new CertificateCache();
  const der = derOf("spiffe://test.example/0000");
  const at = der.indexOf("0000");
  const numbered = (number: number): Buffer => {
    const copy = Buffer.from(der);
    copy.write(String(number).padStart(4, "0"), at);
    return copy;
  };
  const first = cache.read(numbered(0));
  for (let number = 1; number < certificatesMax; number += 1) cache.read(numbered(number));
  expect(cache.read(numbered(0))).toBe(first);
  cache.read(numbered(certificatesMax));
  expect(cache.read(numbered(0))).not.toBe(first);
});
