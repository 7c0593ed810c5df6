/** Certificates whose keys or signatures can be forged: RFC 9325, 4.5; NIST SP 800-131A. Pure. */
import { X509Certificate, type KeyObject } from "node:crypto";

import { isSelfSigned, subjectOf } from "./chain.ts";

/**
 * A certificate's weakness, "an RSA key of 1024 bits", or null. A root's own signature does not matter (`isRoot`): it
 * is trusted because it is in the bundle.
 */
export function weaknessOf(
  certificate: X509Certificate,
  isRoot: (certificate: X509Certificate) => boolean,
): string | null {
  const weakness = keyWeakness(certificate);
  if (weakness !== null) return weakness;
  const signature = signatureWeakness(certificate);
  return signature === null || isRoot(certificate) ? null : signature;
}

/**
 * The first weak certificate of a verified chain, from the leaf up, in words, or null. An unreadable certificate
 * counts as weak.
 */
export function weakLink(chain: readonly Uint8Array[]): string | null {
  for (const [index, der] of chain.entries()) {
    const certificate = readable(der);
    if (certificate === null) return "a certificate of the chain cannot be read";
    const weakness = weaknessOf(certificate, index === 0 ? isNone : isSelfSigned);
    if (weakness === null) continue;
    const which = index === 0 ? "certificate" : `the CA ${subjectOf(certificate)} of its chain`;
    return `${which} has ${weakness}`;
  }
  return null;
}

function isNone(): boolean {
  return false;
}

function readable(der: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    return null;
  }
}

/** All curves that the TLS library supports are strong enough, and a key that it cannot read verifies nothing. */
function keyWeakness(certificate: X509Certificate): string | null {
  const key = keyOf(certificate);
  if (key?.asymmetricKeyType !== "rsa") return null;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  return bits >= rsaBitsMin ? null : `an RSA key of ${bits} bits, ${rsaBitsMin} are the least`;
}

function keyOf(certificate: X509Certificate): KeyObject | null {
  try {
    return certificate.publicKey;
  } catch {
    return null;
  }
}

function signatureWeakness({ signatureAlgorithmOid: oid }: X509Certificate): string | null {
  if (strongSignatures.has(oid)) return null;
  return `a signature by ${weakSignatures.get(oid) ?? `an unknown algorithm (${oid})`}`;
}

const rsaBitsMin = 2048;
/** RFC 8017, A.2; RFC 5758, 3.2; RFC 8410, 3. For PSS the TLS library accepts only SHA-256 and longer hashes. */
const strongSignatures = new Set([
  "1.2.840.113549.1.1.10",
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
  "1.3.101.112",
]);
const weakSignatures = new Map([
  ["1.2.840.113549.1.1.2", "MD2"],
  ["1.2.840.113549.1.1.3", "MD4"],
  ["1.2.840.113549.1.1.4", "MD5"],
  ["1.2.840.113549.1.1.5", "SHA-1"],
  ["1.2.840.113549.1.1.14", "SHA-224"],
  ["1.3.14.3.2.29", "SHA-1"],
  ["1.2.840.10040.4.3", "DSA and SHA-1"],
  ["2.16.840.1.101.3.4.3.1", "DSA"],
  ["2.16.840.1.101.3.4.3.2", "DSA"],
  ["1.2.840.10045.4.1", "SHA-1"],
  ["1.2.840.10045.4.3.1", "SHA-224"],
]);
