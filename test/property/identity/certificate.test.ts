/** Whatever a peer sends as its certificate, reading it returns or throws a ProxyError. */
import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { parseCertificate } from "../../../src/identity/certificate.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";

const options = { spiffeId: "spiffe://a.example/x", ips: ["10.0.0.1"], commonName: "x" };
const good = new X509Certificate(issueLeaf(issueAuthority("a"), options).certificatePem).raw;

test("a certificate with any bytes changed", () => {
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
      const bytes = Uint8Array.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      returnsOrRefuses(bytes);
    }),
    { numRuns: 3000 },
  );
});

test("any bytes at all", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), returnsOrRefuses), { numRuns: 1000 });
});

function returnsOrRefuses(bytes: Uint8Array): void {
  try {
    parseCertificate(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ProxyError);
  }
}
