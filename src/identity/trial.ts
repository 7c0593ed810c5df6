/**
 * Files that an earlier `certs` call made and that may be used again: its own CA, and certificates from this CA.
 * Pure.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";

import { formatIp } from "../net/address.ts";
import { parseCertificate } from "./certificate.ts";
import { signedBy, subjectOf } from "./chain.ts";
import { readAuthority, type Authority, type Issued } from "./issue.ts";

/** A certificate's names, in the form of `LeafOptions`. */
export type LeafNames = {
  readonly spiffeId?: string;
  readonly ips: readonly string[];
  readonly dnsNames: readonly string[];
};

export type TrialCa = Authority & { readonly certificate: X509Certificate };

export type TrialLeaf = {
  readonly names: LeafNames;
  readonly rsa: boolean;
  readonly notAfter: Date;
};

/** The faulty file; the fault and the remedy, for a line that begins with the file's path. */
export type Refusal = {
  readonly kind: "refused";
  readonly file: "certificate" | "key";
  readonly why: string;
};

/** The subject of the CAs that `certs` makes: a CA with another subject belongs to another program. */
export const trialCaName = "trial CA, not for production";

/** The CA of an earlier call. Refuses another program's CA, an expired one, and a key that does not match. */
export function readTrialCa(
  pair: Issued,
  now: number,
): { readonly kind: "ca"; readonly ca: TrialCa } | Refusal {
  const { certificate, key } = partsOf(pair);
  if (certificate === null) return refused("certificate", `${notCertificate}: ${restoreCa}`);
  if (!isOurs(certificate))
    return refused("certificate", `${subjectOf(certificate)} ${notOurs}: ${ownTools}`);
  if (key === null) return refused("key", `${notKey}: ${restoreCa}`);
  if (!certificate.checkPrivateKey(key)) return refused("key", `${notItsKey}: ${restoreCa}`);
  const ended = Date.parse(certificate.validTo);
  if (ended <= now)
    return refused("certificate", `it expired on ${new Date(ended).toISOString()}: ${newCa}`);
  return { kind: "ca", ca: { ...readAuthority(pair), certificate } };
}

/**
 * A certificate that `ca` has issued. Refuses any other, and a key that does not match: neither may be overwritten.
 */
export function readTrialLeaf(
  pair: Issued,
  ca: TrialCa,
): { readonly kind: "leaf"; readonly leaf: TrialLeaf } | Refusal {
  const { certificate, key } = partsOf(pair);
  if (certificate === null) return refused("certificate", `${notCertificate}: ${otherName}`);
  if (!signedBy(certificate, ca.certificate))
    return refused("certificate", `the CA here did not issue it: ${otherName}`);
  if (key === null) return refused("key", `${notKey}: ${otherName}`);
  if (!certificate.checkPrivateKey(key)) return refused("key", `${notItsKey}: ${otherName}`);
  const { uris, ips, dnsNames } = parseCertificate(certificate.raw);
  const [spiffeId] = uris;
  const names = { ips: ips.map(formatIp), dnsNames };
  return {
    kind: "leaf",
    leaf: {
      names: spiffeId === undefined ? names : { ...names, spiffeId },
      rsa: key.asymmetricKeyType === "rsa",
      notAfter: new Date(certificate.validTo),
    },
  };
}

/** Whether the key is the certificate's. */
export function isPair(pair: Issued): boolean {
  const { certificate, key } = partsOf(pair);
  return certificate !== null && key !== null && certificate.checkPrivateKey(key);
}

/** All names as text. */
export function namesText({ spiffeId, dnsNames, ips }: LeafNames): string {
  return [...(spiffeId === undefined ? [] : [spiffeId]), ...dnsNames, ...ips].join(", ");
}

/** A CA certificate, self-signed, with the type of key that issue.ts signs with. */
function isOurs(certificate: X509Certificate): boolean {
  return (
    certificate.ca &&
    trialCaNames.has(parseCertificate(certificate.raw).commonName) &&
    certificate.publicKey.asymmetricKeyDetails?.namedCurve === "prime256v1" &&
    signedBy(certificate, certificate)
  );
}

function partsOf({ certificatePem, keyPem }: Issued): {
  readonly certificate: X509Certificate | null;
  readonly key: KeyObject | null;
} {
  return {
    certificate: orNull(() => new X509Certificate(certificatePem)),
    key: orNull(() => createPrivateKey(keyPem)),
  };
}

/** node:crypto throws many kinds of errors for unreadable data. */
function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function refused(file: Refusal["file"], why: string): Refusal {
  return { kind: "refused", file, why };
}

const notCertificate = "it is not a PEM certificate";
const notKey = "it is not an unencrypted PEM private key";
const notItsKey = "it is not the key of the certificate beside it";
const notOurs = "was not made by tls-tproxy certs";
const restoreCa = "restore the CA's two files, or use another --out for a new CA";
const newCa =
  "use another --out for a new CA. Every peer then needs a certificate and the ca.crt of the new CA";
const ownTools =
  "use that CA's own tools (tls-tproxy help certificate-recipes), or another --out for a trial CA";
const otherName = "remove this folder, or use another --name";
/** The subject that the first releases used, as it stands in their files: never reworded. */
const firstTrialCaName = "trial authority, not for production";
const trialCaNames: ReadonlySet<string> = new Set([trialCaName, firstTrialCaName]);
