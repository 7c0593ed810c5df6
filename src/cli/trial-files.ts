/** The files of `tls-tproxy certs`: a CA in one folder, and a folder for each of its certificates. */
import { dirname } from "node:path";

import type { Issued } from "../identity/issue.ts";
import { readTrialCa, readTrialLeaf, type TrialCa, type TrialLeaf } from "../identity/trial.ts";
import { ProxyError } from "../runtime/errors.ts";
import { FileError, readRegularFile } from "../runtime/files.ts";
import * as files from "../runtime/private-files.ts";

export type CaOnDisk = TrialCa & { readonly notAfter: Date };

/** The files of a certificate, judged once the CA is known. */
export type LeafOnDisk = {
  /** Throws START_FAILED unless `ca` issued it: then nothing may be overwritten. */
  readonly readWith: (ca: CaOnDisk) => TrialLeaf;
};

export function isNothing(path: string): boolean {
  return at(path, "--name", () => files.kindAt(path)) === "nothing";
}

/** Throws START_FAILED if the folder cannot be created. */
export function makeFolder(out: string): void {
  at(out, "--out", () => {
    files.makePrivateFolder(out);
  });
}

/** The CA of an earlier call, null if there is none. Throws START_FAILED for anything else. */
export function caIn(out: string): CaOnDisk | null {
  const [certificate, key] = [`${out}/ca.crt`, `${out}/ca.key`] as const;
  const [ofCertificate, ofKey] = at(out, "--out", () => [
    files.kindAt(certificate),
    files.kindAt(key),
  ]);
  if (ofCertificate === "nothing" && ofKey === "nothing") return null;
  if (ofCertificate === "file" && ofKey === "nothing" && !isNothing(`${out}/tls.crt`))
    throw startFailed(`${out} has a certificate, not a CA: use --out ${dirname(out)}`);
  if (ofKey === "nothing") throw startFailed(`${key} is missing beside ca.crt: ${otherCa}`);
  if (ofCertificate === "nothing")
    throw startFailed(`${certificate} is missing beside ca.key: ${otherCa}`);
  const pair = { certificatePem: read(certificate, "--out"), keyPem: read(key, "--out") };
  const result = readTrialCa(pair, Date.now());
  if (result.kind === "ca")
    return { ...result.ca, notAfter: new Date(result.ca.certificate.validTo) };
  throw startFailed(`${result.file === "key" ? key : certificate}: ${result.why}`);
}

/**
 * The certificate of an earlier call, null if there is none. Throws START_FAILED for a folder without its three
 * files.
 */
export function leafIn(folder: string): LeafOnDisk | null {
  const kind = at(folder, "--name", () => files.kindAt(folder));
  if (kind === "nothing") return null;
  if (kind === "file") throw startFailed(`${folder}: it is a file: ${otherName}`);
  for (const name of leafFiles) {
    const path = `${folder}/${name}`;
    const of = at(folder, "--name", () => files.kindAt(path));
    const what = of === "nothing" ? "missing" : "not a regular file";
    if (of !== "file") throw startFailed(`${folder}: ${name} is ${what}: ${otherName}`);
  }
  const [certificate, key] = [`${folder}/tls.crt`, `${folder}/tls.key`];
  const pair = { certificatePem: read(certificate, "--name"), keyPem: read(key, "--name") };
  return {
    readWith: (ca) => {
      const result = readTrialLeaf(pair, ca);
      if (result.kind === "leaf") return result.leaf;
      const path = result.file === "key" ? key : certificate;
      throw startFailed(`${path}: ${result.why}`);
    },
  };
}

export function saveCa(out: string, ca: Issued): void {
  at(out, "--out", () => {
    files.writeFiles(out, [
      { name: "ca.key", text: ca.keyPem, mode: 0o600 },
      { name: "ca.crt", text: ca.certificatePem, mode: 0o644 },
    ]);
  });
}

/** With the CA's certificate: creates a folder. Without: replaces the files' contents, and keeps ca.crt. */
export function saveLeaf(folder: string, leaf: Issued & { readonly caPem?: string }): void {
  const { certificatePem, keyPem, caPem } = leaf;
  const key = { name: "tls.key", text: keyPem, mode: 0o600 };
  const certificate = { name: "tls.crt", text: certificatePem, mode: 0o644 };
  at(folder, "--name", () => {
    if (caPem === undefined) files.replaceFiles(folder, [key, certificate]);
    else
      files.writeFolder(folder, [key, certificate, { name: "ca.crt", text: caPem, mode: 0o644 }]);
  });
}

export function startFailed(text: string, cause?: unknown): ProxyError {
  return new ProxyError("START_FAILED", `certs: ${text}`, { cause });
}

function read(path: string, flag: Flag): string {
  return at(path, flag, () => readRegularFile(path, fileBytesMax).toString("utf8"));
}

/** The option that a path comes from. */
type Flag = "--out" | "--name";

/** Adds the failed path and the remedy to an error. */
function at<T>(path: string, flag: Flag, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw startFailed(`${path}: ${error.message}: ${remedyOf(error.code, flag)}`, error);
  }
}

function remedyOf(code: string, flag: Flag): string {
  if (code === "ENAMETOOLONG" && flag === "--name") return "use a shorter --name";
  if (code === "EROFS" || code === "ENOSPC") return "use another --out";
  if (code === "EACCES" || code === "EPERM") return "run it as the owner, or use another --out";
  return `use another ${flag}`;
}

const leafFiles = ["tls.crt", "tls.key", "ca.crt"] as const;
const otherCa = "put it back, or use another --out for a new CA";
const otherName = "remove this folder, or use another --name";
const fileBytesMax = 65_536;
