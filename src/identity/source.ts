/** Credentials from files: completely checked before use, and each failure names its option. */
import type { X509Certificate } from "node:crypto";

import type { CredentialFiles } from "./discovery.ts";
import { ProxyError } from "../runtime/errors.ts";
import { FileError, readRegularFile } from "../runtime/files.ts";
import { isSelfSigned, orderedChain, pathOf, subjectOf } from "./chain.ts";
import { chainFault, twinFault, unrootedText, type ChainFault } from "./chain-fault.ts";
import { certificatesOf, type Certificates, type FileCertificate } from "./certificate-file.ts";
import {
  identityOf,
  parseCertificate,
  type PeerCertificate,
  type PeerIdentity,
} from "./certificate.ts";
import { invalid, type NamedFile } from "./credentials-error.ts";
import { assertUsable, fits, keysIn, type FileKey } from "./key-file.ts";
import { pemOf } from "./pem.ts";
import { weakLink, weaknessOf } from "./strength.ts";

/** Parsed PEM texts that match each other. */
export type Credentials = {
  /** Ours, then its issuers in the order of issuance. */
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly trustBundlePem: string;
  /** Ours, as DER. */
  readonly certificate: Uint8Array;
  /** Start and end of the certificate's validity in milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Our own identity. */
  readonly identity: PeerIdentity;
  /** A fault of the chain that peers would object to, as far as we can see. The TLS library decides. */
  readonly doubt: ChainFault | null;
  /** Unused contents of the files, a line each. */
  readonly leftOut: readonly string[];
};

/**
 * Reads and checks certificate, key and trust bundle. Throws CREDENTIALS_INVALID with one line that names the
 * option; SYSTEM_CALL if the kernel lacks what it needs to read them. `now` in milliseconds since 1970.
 */
export function loadCredentials(files: CredentialFiles, now: number): Credentials {
  const certificate = { option: "--cert", path: files.certificate };
  const key = { option: "--key", path: files.key };
  const trustBundle = { option: "--ca-cert", path: files.trustBundle };
  const found = certificatesIn(certificate, files.certificate === files.key);
  const keys = keysIn(key, read(key));
  const bundle = certificatesIn(trustBundle, false);
  const { own, ownKey } = fitting(certificate, found, { keys, named: key });
  assertCurrent(certificate, own.certificate, now);
  assertUsable(key, ownKey);
  const { chain, strangers } = orderedChain(own.certificate, certificatesFrom(found));
  return {
    certificatePem: pemsOf(chain),
    keyPem: ownKey.pem,
    trustBundlePem: pemsOf(certificatesFrom(bundle).filter(isStrong)),
    ...leafFacts(certificate, own.certificate),
    doubt: chainDoubt({ certificate, trustBundle }, chain, certificatesFrom(bundle), now),
    leftOut: [
      ...found.leftOut,
      ...strangers.map((one) => strangerText(certificate, one)),
      ...bundle.leftOut,
      ...certificatesFrom(bundle)
        .filter((one) => !isStrong(one))
        .map((one) => weakText(trustBundle, one)),
    ],
  };
}

function certificatesIn(named: NamedFile, withKey: boolean): Certificates {
  return certificatesOf(named, read(named), (label) => withKey && !label.includes("CERTIFICATE"));
}

/** The first certificate that matches a key: others may precede it. */
function fitting(
  named: NamedFile,
  { all }: Certificates,
  { keys, named: keyNamed }: { readonly keys: readonly FileKey[]; readonly named: NamedFile },
): { readonly own: FileCertificate; readonly ownKey: FileKey } {
  for (const own of all) {
    const ownKey = keys.find((key) => fits(key, own.certificate));
    if (ownKey !== undefined) return { own, ownKey };
  }
  for (const key of keys) assertUsable(keyNamed, key);
  throw invalid(keyNamed, `it is not the key of the certificate ${named.path} (--cert)`);
}

function assertCurrent(named: NamedFile, { raw }: X509Certificate, now: number): void {
  const { notBefore, notAfter } = parsed(named, raw);
  if (now > notAfter) throw invalid(named, `it has expired at ${iso(notAfter)}: renew it`);
  if (now >= notBefore) return;
  const text = `it is not valid before ${iso(notBefore)}: is the clock right?`;
  throw invalid(named, text, { validFrom: notBefore });
}

function leafFacts(
  named: NamedFile,
  { raw }: X509Certificate,
): Pick<Credentials, "certificate" | "notBefore" | "notAfter" | "identity"> {
  const leaf = parsed(named, raw);
  const { notBefore, notAfter } = leaf;
  return { certificate: raw, notBefore, notAfter, identity: identityOf(leaf) };
}

/** The library's own message may quote the file, so it goes into the cause and not into the log. */
function parsed(named: NamedFile, raw: Uint8Array): PeerCertificate {
  try {
    return parseCertificate(raw);
  } catch (error) {
    // Our own message, which quotes nothing.
    const why =
      error instanceof ProxyError ? `peers' proxies cannot read it: ${error.message}` : "";
    throw invalid(named, why || "it holds no readable PEM certificate", { cause: error });
  }
}

/** Throws CREDENTIALS_INVALID for a chain that leads to no root in the bundle. */
function chainDoubt(
  {
    certificate,
    trustBundle,
  }: { readonly certificate: NamedFile; readonly trustBundle: NamedFile },
  chain: readonly X509Certificate[],
  bundle: readonly X509Certificate[],
  now: number,
): ChainFault | null {
  const path = pathOf(chain, bundle.filter(isStrong), now);
  const weakness = weakLink(path.certificates.map(({ raw }) => raw));
  if (path.isWhole && weakness === null)
    return chainFault(path, now) ?? twinFault(path, [...chain, ...bundle], now);
  const other = path.isWhole ? path : pathOf(chain, bundle, now);
  const weak = weakLink(other.certificates.map(({ raw }) => raw));
  if (other.isWhole && weak !== null) throw invalid(certificate, `${weak}: peers refuse it`);
  const roots = bundle.filter(isSelfSigned);
  const why = unrootedText(path, bundle, { roots, bundlePath: trustBundle.path });
  const text = `it does not lead to a self-signed CA certificate in ${trustBundle.path} (--ca-cert): ${why}`;
  throw invalid(certificate, text);
}

function certificatesFrom({ all }: Certificates): readonly X509Certificate[] {
  return all.map(({ certificate }) => certificate);
}

function pemsOf(all: readonly X509Certificate[]): string {
  return all.map(({ raw }) => pemOf("CERTIFICATE", raw)).join("\n");
}

/** Its signatures could be forged: it is not passed to the TLS library, which would accept it. */
function isStrong(certificate: X509Certificate): boolean {
  return weaknessOf(certificate, isSelfSigned) === null;
}

function weakText({ option, path }: NamedFile, certificate: X509Certificate): string {
  const weakness = weaknessOf(certificate, isSelfSigned) ?? "";
  return `${option} ${path}: ${subjectOf(certificate)} is not trusted: it has ${weakness}`;
}

function strangerText({ option, path }: NamedFile, certificate: X509Certificate): string {
  return `${option} ${path}: ${subjectOf(certificate)} is not sent: it has issued nothing of our chain`;
}

function read(named: NamedFile): string {
  try {
    const bytes = readRegularFile(named.path, fileBytesMax);
    const text = bytes.toString("latin1");
    bytes.fill(0); // There are enough copies of a key already.
    return text;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (!error.isShortage) throw invalid(named, error.message, { cause: error });
    const text = `${named.option} ${named.path}: ${error.message}`;
    throw new ProxyError("SYSTEM_CALL", text, { cause: error });
  }
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

/** For each of the three. A bundle of all public CAs has a quarter of it. */
const fileBytesMax = 1 << 20;
