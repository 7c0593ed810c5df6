/** Credentials from files: all of it checked before it is used, each failure naming its option. */
import { readFileSync } from "node:fs";
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";

import type { CredentialFiles } from "../config.ts";
import { ProxyError } from "../errors.ts";
import { identityOf, parseCertificate, type PeerIdentity } from "./certificate.ts";

/** PEM texts that were parsed and fit together. */
export type Credentials = {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly trustBundlePem: string;
  /** Milliseconds since 1970: from when on, and until when, the certificate is valid. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Who we are. */
  readonly identity: PeerIdentity;
};

/**
 * Reads and checks certificate, key and trust bundle. Throws CREDENTIALS_INVALID with one line that names the
 * option. `now` in milliseconds since 1970.
 */
export function loadCredentials(files: CredentialFiles, now: number): Credentials {
  const chain = certificatesOf("--cert", files.certificate);
  const keyPem = read("--key", files.key);
  const bundle = certificatesOf("--ca-cert", files.trustBundle);
  const leaf = parse("--cert", files.certificate, () => parseCertificate(chain.first.raw));
  if (now > leaf.notAfter)
    throw invalid("--cert", files.certificate, `it has expired at ${iso(leaf.notAfter)}: renew it`);
  if (now < leaf.notBefore)
    throw invalid(
      "--cert",
      files.certificate,
      `it is not valid before ${iso(leaf.notBefore)}: is the clock right?`,
    );
  if (!chain.first.checkPrivateKey(keyOf(files.key, keyPem)))
    throw invalid(
      "--key",
      files.key,
      `it is not the key of the certificate ${files.certificate} (--cert)`,
    );
  if (!leadsTo(chain.all, bundle.all))
    throw invalid(
      "--cert",
      files.certificate,
      `it does not lead to a self-signed authority in ${files.trustBundle} (--ca-cert)`,
    );
  return {
    certificatePem: chain.text,
    keyPem,
    trustBundlePem: bundle.text,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    identity: identityOf(leaf),
  };
}

type Certificates = {
  readonly text: string;
  readonly first: X509Certificate;
  readonly all: readonly X509Certificate[];
};

/** Every block has to parse: one bad authority that is left out in silence is an outage later. */
function certificatesOf(option: string, path: string): Certificates {
  const text = read(option, path);
  const blocks = text.match(certificateBlock) ?? [];
  const all = blocks.map((block) => parse(option, path, () => new X509Certificate(block)));
  const [first] = all;
  if (text.split(certificateBegin).length - 1 > all.length)
    throw invalid(option, path, "it ends in the middle of a certificate");
  if (first === undefined) throw invalid(option, path, "no PEM certificate in it");
  return { text: blocks.join("\n"), first, all };
}

function keyOf(path: string, text: string): KeyObject {
  return parse("--key", path, () => createPrivateKey(text));
}

/**
 * Follows issuers through chain and bundle to a self-signed certificate of the bundle: the TLS library takes
 * nothing less, so a bundle of intermediates alone would refuse every peer.
 */
function leadsTo(chain: readonly X509Certificate[], bundle: readonly X509Certificate[]): boolean {
  const known = [...bundle, ...chain];
  let current = chain[0];
  for (let step = 0; step <= known.length && current !== undefined; step += 1) {
    const subject = current;
    if (signedBy(subject, subject)) return bundle.some((one) => one.raw.equals(subject.raw));
    current = known.find((one) => signedBy(subject, one));
  }
  return false;
}

/** An issuer whose key the TLS library cannot read (Ed448, say) has signed nothing that it would accept. */
function signedBy(subject: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function read(option: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw invalid(option, path, readFailures.get(code) ?? `it cannot be read: ${code}`, error);
  }
}

/** The library's own words may quote the file, so they go to the cause and not to the log. */
function parse<T>(option: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const wanted = option === "--key" ? "unencrypted PEM private key" : "PEM certificate";
    throw invalid(option, path, `it holds no readable ${wanted}`, error);
  }
}

function invalid(option: string, path: string, why: string, cause?: unknown): ProxyError {
  return new ProxyError("CREDENTIALS_INVALID", `${option} ${path}: ${why}`, { cause });
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

const certificateBegin = "-----BEGIN CERTIFICATE-----";
const certificateBlock = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const readFailures = new Map<string, string>([
  ["ENOENT", "there is no such file"],
  ["EACCES", "it may not be read by this user"],
  ["EISDIR", "it is a directory, a file is wanted"],
]);
