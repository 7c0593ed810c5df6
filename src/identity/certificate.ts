/** X.509 certificates of peers: the few facts that matter, read from their DER. Pure. */
import { createHash } from "node:crypto";

import { quote, shorten } from "../runtime/log/escape.ts";
import {
  valueOfNode,
  childrenOf,
  malformed,
  oidOf,
  readDer,
  tagOf,
  timeOf,
  type Node,
} from "./der.ts";
import { readGeneralNames, type GeneralName } from "./general-names.ts";
import { parseSpiffeId, spiffeFault, type SpiffeId } from "./spiffe-id.ts";

export type PeerCertificate = {
  /** Subject alternative names: RFC 5280, 4.2.1.6. IPs are 4 or 16 bytes. */
  readonly uris: readonly string[];
  readonly ips: readonly Uint8Array[];
  readonly dnsNames: readonly string[];
  /** Milliseconds since 1970, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** basicConstraints CA:TRUE. */
  readonly isAuthority: boolean;
  /** keyUsage with keyCertSign or cRLSign. */
  readonly maySign: boolean;
  /** Object identifiers of the extended key usages, null without that extension. */
  readonly usages: readonly string[] | null;
  /** "" if there is none. Never used for a decision. */
  readonly commonName: string;
  /** SHA-256 of the whole certificate, hexadecimal. */
  readonly fingerprint: string;
};

/** The identity claimed by a verified certificate. */
export type PeerIdentity = {
  readonly spiffeId: SpiffeId | null;
  /** Why there is no SPIFFE ID, null if there is one. */
  readonly spiffeFault: string | null;
  /** Its addresses: 4 or 16 bytes each. */
  readonly ips: readonly Uint8Array[];
  /** Its URIs and host names, for the log. */
  readonly otherNames: readonly string[];
  readonly commonName: string;
  readonly fingerprint: string;
  readonly notAfter: number;
};

/** Parses a certificate. Throws CERTIFICATE_INVALID for anything malformed, duplicated or too large. */
export function parseCertificate(der: Uint8Array): PeerCertificate {
  if (der.length > certificateBytesMax) throw malformed("a certificate of at most 100 KiB");
  const fields = [...childrenOf(childrenOf(readDer(der))[0])];
  if (fields[0] !== undefined && tagOf(fields[0]) === 0) fields.shift();
  const [, , , validity, subject] = fields;
  const extensions = extensionsOf(fields.find((field) => tagOf(field) === 3));
  const names = namesOf(extensions.get(oids.subjectAltName));
  return {
    uris: textsOf(names, generalName.uri),
    ips: names.filter(({ tag }) => tag === generalName.ip).map(ipOf),
    dnsNames: textsOf(names, generalName.dns),
    notBefore: timeOf(childrenOf(validity)[0]),
    notAfter: timeOf(childrenOf(validity)[1]),
    isAuthority: isAuthority(extensions.get(oids.basicConstraints)),
    maySign: maySign(extensions.get(oids.keyUsage)),
    usages: usagesOf(extensions.get(oids.extendedKeyUsage)),
    commonName: commonNameOf(subject),
    fingerprint: createHash("sha256").update(der).digest("hex"),
  };
}

/** A certificate's identity: a SPIFFE ID if it has exactly one URI name and that is valid. */
export function identityOf(certificate: PeerCertificate): PeerIdentity {
  const { ips, commonName, fingerprint, notAfter } = certificate;
  const workload = workloadOf(certificate);
  return {
    spiffeId: "id" in workload ? workload.id : null,
    spiffeFault: "id" in workload ? null : workload.fault,
    ips,
    otherNames: [...certificate.uris, ...certificate.dnsNames],
    commonName,
    fingerprint,
    notAfter,
  };
}

/** For a log line: the SPIFFE ID, else the common name in quotes, else the start of the fingerprint. */
export function describeIdentity(identity: PeerIdentity): string {
  if (identity.spiffeId !== null) return identity.spiffeId;
  if (identity.commonName === "") return `sha256:${identity.fingerprint.slice(0, 16)}`;
  return quote(identity.commonName, nameLengthMax);
}

/**
 * Like `describeIdentity`, for a field that is quoted by its format: a common name is never taken for a SPIFFE ID.
 */
export function identityField(identity: PeerIdentity): string {
  if (identity.spiffeId !== null || identity.commonName === "") return describeIdentity(identity);
  return `CN=${shorten(identity.commonName, nameLengthMax)}`;
}

/**
 * Why a certificate with a URI name, or with something like one, has no SPIFFE ID; null if it has one, or was not
 * meant to. Its owner should be told before peers refuse it.
 */
export function spiffeMistake({
  spiffeId,
  spiffeFault: fault,
  otherNames,
}: PeerIdentity): string | null {
  const meant = otherNames.some((name) => name.includes(":"));
  return spiffeId === null && meant ? fault : null;
}

/** The workload that a certificate names, or why there is none: it must have exactly one URI name, a SPIFFE ID. */
function workloadOf(
  certificate: PeerCertificate,
): { readonly id: SpiffeId } | { readonly fault: string } {
  const [uri, ...others] = certificate.uris;
  if (uri === undefined) {
    const dns = certificate.dnsNames.some((name) => name.toLowerCase().startsWith("spiffe:"));
    return { fault: dns ? "its SPIFFE ID is a DNS name, not a URI" : "it has no URI name" };
  }
  if (others.length > 0) return { fault: `it has ${others.length + 1} URI names, not one` };
  const fault = spiffeFault(uri);
  return fault === null ? { id: parseSpiffeId(uri) } : { fault };
}

/** Contents by identifier. A duplicate extension is refused: RFC 5280, 4.2. */
function extensionsOf(tagged: Node | undefined): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (tagged === undefined) return found;
  for (const extension of childrenOf(childrenOf(tagged)[0])) {
    const parts = childrenOf(extension);
    const oid = oidOf(parts[0]);
    if (found.has(oid)) throw malformed("each extension once");
    found.set(oid, valueOfNode(parts.at(-1)));
  }
  return found;
}

function namesOf(extension: Uint8Array | undefined): readonly GeneralName[] {
  if (extension === undefined) return [];
  return readGeneralNames(extension);
}

/** IA5String: a name with a byte above 127 or a NUL is invalid (CVE-2009-2408, CVE-2021-44532). */
function textsOf(names: readonly GeneralName[], tag: number): readonly string[] {
  const decoder = new TextDecoder("latin1");
  return names
    .filter((name) => name.tag === tag)
    .map(({ bytes }) => {
      if (bytes.some((byte) => byte < 0x20 || byte > 0x7e)) throw malformed("a printable name");
      return decoder.decode(bytes);
    });
}

function ipOf({ bytes }: GeneralName): Uint8Array {
  if (bytes.length !== 4 && bytes.length !== 16) throw malformed("an address of 4 or 16 bytes");
  return bytes;
}

function isAuthority(extension: Uint8Array | undefined): boolean {
  if (extension === undefined) return false;
  const [first] = childrenOf(readDer(extension));
  return first?.type === booleanType && valueOfNode(first)[0] !== 0;
}

/** A bit string whose bit 5, from the left, is keyCertSign, bit 6 cRLSign: RFC 5280, 4.2.1.3. */
function maySign(extension: Uint8Array | undefined): boolean {
  if (extension === undefined) return false;
  // The first byte is the number of unused bits at the end.
  const [, bits = 0] = valueOfNode(readDer(extension));
  return (bits & signBits) !== 0;
}

function usagesOf(extension: Uint8Array | undefined): readonly string[] | null {
  return extension === undefined ? null : childrenOf(readDer(extension)).map(oidOf);
}

function commonNameOf(subject: Node | undefined): string {
  for (const set of childrenOf(subject)) {
    const [oid, value] = childrenOf(childrenOf(set)[0]);
    if (oidOf(oid) === oids.commonName) return new TextDecoder().decode(valueOfNode(value));
  }
  return "";
}

const oids = {
  commonName: "2.5.4.3",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** Context tags of GeneralName: RFC 5280, 4.2.1.6. */
const generalName = { dns: 2, uri: 6, ip: 7 } as const;
const signBits = 0x06;
const booleanType = 1;
/** The TLS library accepts no longer certificate message (BoringSSL, SSL_MAX_CERT_LIST_DEFAULT). */
const certificateBytesMax = 102_400;
const nameLengthMax = 64;
