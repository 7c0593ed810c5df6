/** The certificates in a PEM file: every block is used, refused with its line, or reported as unused. Pure. */
import { X509Certificate } from "node:crypto";

import { invalid, type NamedFile } from "./credentials-error.ts";
import { valueOfNode, childrenOf, oidOf, readDer, tagOf, type Node } from "./der.ts";
import { foreignFormat } from "./foreign-format.ts";
import { pemBlocks, type PemBlock } from "./pem.ts";

export type FileCertificate = { readonly certificate: X509Certificate; readonly line: number };

export type Certificates = {
  readonly all: readonly FileCertificate[];
  readonly first: FileCertificate;
  /** Unused blocks, in words. */
  readonly leftOut: readonly string[];
};

/**
 * Every certificate must be readable: a bad CA that is silently omitted is an outage later. `expected`: labels of
 * other blocks that may be in this file. Throws CREDENTIALS_INVALID.
 */
export function certificatesOf(
  named: NamedFile,
  text: string,
  expected: (label: string) => boolean,
): Certificates {
  const blocks = pemBlocks(text);
  if (blocks.length > blocksMax)
    throw invalid(named, `it has ${blocks.length} PEM blocks, ${blocksMax} are the most`);
  const leftOut: string[] = [];
  const all: FileCertificate[] = [];
  for (const block of blocks) {
    const der = certificateLabels.has(block.label) ? derOf(named, block, text) : null;
    if (der !== null && typeof der !== "string")
      all.push({ certificate: certificateOf(named, block, der), line: block.line });
    else if (!expected(block.label)) leftOut.push(leftOutText(named, block, der));
  }
  const [first] = all;
  if (first === undefined) throw withoutCertificate(named, text, blocks);
  return { all, first, leftOut };
}

/** The certificate's bytes, or why it is not used. */
function derOf(
  named: NamedFile,
  { label, line, bytes }: PemBlock,
  text: string,
): Uint8Array | string {
  if (bytes === null) {
    const cut = `it ends in the middle of a certificate, or has other text in it (line ${line})`;
    throw invalid(named, foreignFormat(text, []) ?? cut);
  }
  if (label !== "TRUSTED CERTIFICATE") return bytes;
  const length = lengthOf(bytes);
  return length === bytes.length || trustsTls(bytes.subarray(length))
    ? bytes.subarray(0, length)
    : "its trust settings do not allow TLS for servers and clients";
}

/** The library's own message may quote the file, so it goes into the cause and not into the log. */
function certificateOf(named: NamedFile, { line }: PemBlock, der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(der));
  } catch (error) {
    throw invalid(named, `it holds no readable PEM certificate in line ${line}`, { cause: error });
  }
}

function withoutCertificate(named: NamedFile, text: string, blocks: readonly PemBlock[]): Error {
  const format = foreignFormat(
    text,
    blocks.map(({ label }) => label),
  );
  return invalid(named, `no PEM certificate in it${format === null ? "" : `: ${format}`}`);
}

function leftOutText(
  { option, path }: NamedFile,
  { label, line }: PemBlock,
  why: string | null,
): string {
  const words = why ?? leftOutWords.get(label);
  return `${option} ${path}: ${label} in line ${line} is not used${words === undefined ? "" : `: ${words}`}`;
}

/** Length of the first DER value: X.690, 8.1.3. */
function lengthOf(bytes: Uint8Array): number {
  const [, first = 0] = bytes;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  const length = bytes.subarray(2, 2 + count).reduce((sum, byte) => sum * 256 + byte, 0);
  return 2 + count + length;
}

/**
 * OpenSSL's trust settings after a TRUSTED CERTIFICATE (x509_aux): purposes that it is trusted for, and as [0] those
 * for which it is rejected. An unreadable one is not trusted.
 */
function trustsTls(settings: Uint8Array): boolean {
  try {
    const fields = childrenOf(readDer(settings));
    const trusted = fields.find((field) => tagOf(field) === -1 && Array.isArray(field.value));
    const rejected = fields.find((field) => tagOf(field) === 0);
    const allows = trusted === undefined || isForTls(purposesIn(trusted));
    return allows && !purposesIn(rejected).some((oid) => tlsPurposes.has(oid));
  } catch {
    return false;
  }
}

function isForTls(oids: readonly string[]): boolean {
  return oids.includes(anyPurpose) || [serverAuth, clientAuth].every((oid) => oids.includes(oid));
}

function purposesIn(node: Node | undefined): readonly string[] {
  return node === undefined || (!Array.isArray(node.value) && valueOfNode(node).length === 0)
    ? []
    : childrenOf(node).map(oidOf);
}

/** There are 150 public CAs. Each may be compared with each other one. */
const blocksMax = 2000;
const certificateLabels = new Set(["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"]);
const anyPurpose = "2.5.29.37.0";
const serverAuth = "1.3.6.1.5.5.7.3.1";
const clientAuth = "1.3.6.1.5.5.7.3.2";
const tlsPurposes = new Set([anyPurpose, serverAuth, clientAuth]);
const leftOutWords = new Map<string, string>([
  ["X509 CRL", "revocation lists are not read"],
  ["PKCS7", "openssl pkcs7 -print_certs writes its certificates as PEM"],
]);
