/** The private key in a PEM file, and messages for keys that cannot be used. Pure. */
import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";

import { invalid, type NamedFile } from "./credentials-error.ts";
import { foreignFormat } from "./foreign-format.ts";
import { pemBlocks, pemOf, type PemBlock } from "./pem.ts";

export type FileKey = { readonly key: KeyObject; readonly pem: string };

/** All keys in the file, at least one. Throws CREDENTIALS_INVALID. */
export function keysIn(named: NamedFile, text: string): readonly FileKey[] {
  const blocks = pemBlocks(text);
  const keys = blocks.filter(({ label }) => keyLabels.has(label));
  if (keys.length > keysMax)
    throw invalid(named, `it holds ${keys.length} keys, ${keysMax} are the most`);
  if (keys.length > 0) return keys.map((block) => keyOf(named, block));
  const labels = blocks.map(({ label }) => label);
  const words = labels.includes("DSA PRIVATE KEY")
    ? `the TLS library does not take DSA keys. ${usable}`
    : foreignFormat(text, labels);
  throw invalid(named, withWords(unreadable, words));
}

/** The TLS library accepts only these types, and its messages for others are not informative. */
export function assertUsable(named: NamedFile, { key }: FileKey): void {
  const kind = key.asymmetricKeyType ?? "unknown";
  if (!kinds.has(kind))
    throw invalid(named, `the TLS library does not take ${kind.toUpperCase()} keys. ${usable}`);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === undefined || curves.has(curve)) return;
  throw invalid(named, `the TLS library does not take them: its curve is ${curve}. ${usable}`);
}

export function fits({ key }: FileKey, certificate: X509Certificate): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false; // On a curve that nothing here can read.
  }
}

function keyOf(named: NamedFile, block: PemBlock): FileKey {
  const { label, line, bytes } = block;
  if (block.encrypted || label === "ENCRYPTED PRIVATE KEY")
    throw invalid(
      named,
      `${unreadable}: it is encrypted. openssl pkey -in FILE -out NEW decrypts it`,
    );
  if (bytes === null) throw invalid(named, `${unreadable}: the block in line ${line} is not whole`);
  const pem = pemOf(label, bytes);
  try {
    return { key: createPrivateKey(pem), pem };
  } catch (error) {
    throw invalid(named, withWords(unreadable, kindWords(bytes)), { cause: error });
  }
}

/** For key types that the library cannot even read. */
function kindWords(der: Uint8Array): string | null {
  const hex = der.toHex();
  const [, kind] = unknownKinds.find(([oid]) => hex.includes(oid)) ?? [];
  return kind === undefined ? null : `the TLS library does not know ${kind}. ${usable}`;
}

function withWords(text: string, words: string | null): string {
  return words === null ? text : `${text}: ${words}`;
}

const keyLabels = new Set([
  "PRIVATE KEY",
  "EC PRIVATE KEY",
  "RSA PRIVATE KEY",
  "ENCRYPTED PRIVATE KEY",
]);
const kinds = new Set(["ec", "ed25519", "rsa"]);
const curves = new Set(["prime256v1", "secp384r1", "secp521r1"]);
/** Object identifiers as DER, in hexadecimal. */
const unknownKinds = [
  ["06052b8104000a", "the curve secp256k1"],
  ["06092b24030302080101", "brainpool curves"],
  ["06082a811ccf5501822d", "the curve SM2"],
  ["06032b6571", "Ed448"],
  ["06092a864886f70d01010a", "keys for RSA-PSS alone"],
] as const;
const unreadable = "it contains no private key in readable, unencrypted PEM";
const usable = "Use EC P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more";
/** Each is tried with each certificate. */
const keysMax = 16;
