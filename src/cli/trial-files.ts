/** The files of `tls-tproxy certs`: a CA in one folder, and a folder for each of its certificates. */
import { dirname } from "node:path";

import type { Issued } from "../identity/issue.ts";
import {
  isPair,
  readTrialCa,
  readTrialLeaf,
  type TrialCa,
  type TrialLeaf,
} from "../identity/trial.ts";
import { ProxyError } from "../runtime/errors.ts";
import { FileError } from "../runtime/files.ts";
import * as files from "../runtime/private-files.ts";
import { kindAt, PrivateFolder, withoutProc, writableByOthers } from "../runtime/private-folder.ts";

export type CaOnDisk = TrialCa & { readonly notAfter: Date };

/** The files of a certificate, judged once the CA is known. */
export type LeafOnDisk = {
  /** Throws START_FAILED unless `ca` issued it: then nothing may be overwritten. */
  readonly readWith: (ca: CaOnDisk) => TrialLeaf;
};

/** The folder of `--out`: its path for messages, and the folder itself, open. */
export type Out = Disposable & { readonly path: string; readonly opened: PrivateFolder };

export function isNothing(path: string): boolean {
  return at(path, "--name", () => kindAt(path)) === "nothing";
}

/**
 * Opens the folder, creates it if there is none, and completes or removes what an interrupted call left in it.
 * `beforeChange` is called before each change of files. Throws START_FAILED.
 */
export function openOut(path: string, beforeChange: () => void): Out {
  return at(path, "--out", () => {
    using undo = new DisposableStack();
    const opened = undo.use(PrivateFolder.make(path, beforeChange));
    files.settleLeftovers(opened, (temporary) => isRestOfPair(opened, temporary, "ca"));
    settleFolders(opened);
    const stack = undo.move();
    return { path, opened, [Symbol.dispose]: () => stack[Symbol.dispose]() };
  });
}

/** Completes or removes what interrupted calls left in the folders of certificates. An unusable one is none of ours. */
function settleFolders(out: PrivateFolder): void {
  for (const name of out.names()) {
    if (name.startsWith(".") || out.kindOf(name) !== "folder") continue;
    try {
      using folder = out.folder(name);
      settleLeaf(folder);
    } catch (error) {
      // The call for this name reports it.
      if (!(error instanceof FileError)) throw error;
    }
  }
}

function settleLeaf(folder: PrivateFolder): void {
  files.settleLeftovers(folder, (temporary) => isRestOfPair(folder, temporary, "tls"));
}

/** The CA of an earlier call, null if there is none. Throws START_FAILED for anything else. */
export function caIn({ path: out, opened }: Out): CaOnDisk | null {
  const [certificate, key] = [`${out}/ca.crt`, `${out}/ca.key`] as const;
  const [ofCertificate, ofKey] = at(out, "--out", () => [
    opened.kindOf("ca.crt"),
    opened.kindOf("ca.key"),
  ]);
  if (ofCertificate === "nothing" && ofKey === "nothing") return null;
  if (ofCertificate === "file" && ofKey === "nothing" && opened.kindOf("tls.crt") !== "nothing")
    throw startFailed(`${out} has a certificate, not a CA: use --out ${dirname(out)}`);
  if (ofKey === "nothing") throw startFailed(`${key} is missing beside ca.crt: ${otherCa}`);
  if (ofCertificate === "nothing")
    throw startFailed(`${certificate} is missing beside ca.key: ${otherCa}`);
  const pair = {
    certificatePem: read(opened, "ca.crt", { path: certificate, flag: "--out" }),
    keyPem: read(opened, "ca.key", { path: key, flag: "--out" }),
  };
  const result = readTrialCa(pair, Date.now());
  if (result.kind === "ca")
    return { ...result.ca, notAfter: new Date(result.ca.certificate.validTo) };
  throw startFailed(`${result.file === "key" ? key : certificate}: ${result.why}`);
}

/**
 * The certificate of an earlier call, null if there is none, once what an interrupted call left is completed or removed.
 * Throws START_FAILED for a folder without its three files, and for one that others may write to.
 */
export function leafIn({ path: out, opened }: Out, name: string): LeafOnDisk | null {
  const path = `${out}/${name}`;
  const kind = at(path, "--name", () => opened.kindOf(name));
  if (kind === "nothing") return null;
  if (kind !== "folder")
    throw startFailed(
      `${path}: it is ${kind === "link" ? "a symbolic link" : "a file"}: ${otherName}`,
    );
  using folder = at(path, "--name", () => opened.folder(name));
  at(path, "--name", () => {
    settleLeaf(folder);
  });
  for (const file of leafFiles) {
    const of = at(path, "--name", () => folder.kindOf(file));
    const what = of === "nothing" ? "missing" : "not a regular file";
    if (of !== "file") throw startFailed(`${path}: ${file} is ${what}: ${otherFolder}`);
  }
  const [certificate, key] = [`${path}/tls.crt`, `${path}/tls.key`];
  const pair = {
    certificatePem: read(folder, "tls.crt", { path: certificate, flag: "--name" }),
    keyPem: read(folder, "tls.key", { path: key, flag: "--name" }),
  };
  return {
    readWith: (ca) => {
      const result = readTrialLeaf(pair, ca);
      if (result.kind === "leaf") return result.leaf;
      throw startFailed(`${result.file === "key" ? key : certificate}: ${result.why}`);
    },
  };
}

export function saveCa({ path, opened }: Out, ca: Issued): void {
  at(path, "--out", () => {
    files.writeFiles(opened, [
      { name: "ca.key", text: ca.keyPem, mode: 0o600 },
      { name: "ca.crt", text: ca.certificatePem, mode: 0o644 },
    ]);
  });
}

/**
 * With the CA's certificate: creates a folder. Without: replaces the files' contents, and keeps ca.crt. `closed`: the key
 * was accessible by others than its owner, and is not any more.
 */
export function saveLeaf(
  { path, opened }: Out,
  name: string,
  { certificatePem, keyPem, caPem }: Issued & { readonly caPem?: string },
): { readonly closed: boolean } {
  const key = { name: "tls.key", text: keyPem, mode: 0o600 };
  const certificate = { name: "tls.crt", text: certificatePem, mode: 0o644 };
  return at(`${path}/${name}`, "--name", () => {
    if (caPem !== undefined) {
      const ca = { name: "ca.crt", text: caPem, mode: 0o644 };
      files.writeFolder(opened, name, [key, certificate, ca]);
      return { closed: false };
    }
    using folder = opened.folder(name);
    const closed = (folder.stats(key.name).mode & 0o077) !== 0;
    files.replaceFiles(folder, [key, certificate]);
    return { closed };
  });
}

/**
 * The first releases moved the key, then the certificate: an interruption between them left a key and the certificate
 * before it.
 */
function isRestOfPair(
  folder: PrivateFolder,
  temporary: PrivateFolder,
  name: "ca" | "tls",
): boolean {
  const [certificate, key] = [`${name}.crt`, `${name}.key`];
  const names = temporary.names();
  if (names.length !== 1 || names[0] !== certificate || folder.kindOf(key) !== "file") return false;
  // A call makes a CA only where there is none.
  if (name === "ca" && folder.kindOf(certificate) !== "nothing") return false;
  return isPair({
    certificatePem: temporary.read(certificate, fileBytesMax).toString("utf8"),
    keyPem: folder.read(key, fileBytesMax).toString("utf8"),
  });
}

export function startFailed(text: string, cause?: unknown): ProxyError {
  return new ProxyError("START_FAILED", `certs: ${text}`, { cause });
}

function read(
  folder: PrivateFolder,
  name: string,
  { path, flag }: { readonly path: string; readonly flag: Flag },
): string {
  return at(path, flag, () => folder.read(name, fileBytesMax).toString("utf8"));
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
  if (code === writableByOthers)
    return `use another ${flag}, or run chmod go-w on it if it is for this purpose alone`;
  if (code === "ENOTEMPTY") return "run it again";
  if (code === withoutProc) return "mount -t proc proc /proc";
  if (code === "EROFS" || code === "ENOSPC") return "use another --out";
  if (code === "EACCES" || code === "EPERM") return "run it as the owner, or use another --out";
  return `use another ${flag}`;
}

const leafFiles = ["tls.crt", "tls.key", "ca.crt"] as const;
const otherCa = "put it back, or use another --out for a new CA";
const otherName = "remove it, or use another --name";
const otherFolder = "remove this folder, or use another --name";
const fileBytesMax = 65_536;
