/** Files and folders that are made for their owner alone, once: nothing planted in their place is followed or overwritten. */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

import { FileError, words } from "./files.ts";

export type NewFile = {
  readonly name: string;
  readonly text: string;
  /** 0o600 for a key, from the moment it is made. */
  readonly mode: number;
};

/**
 * Makes a folder and those above it, for the owner alone, where there is none. Throws FileError for one in which others may
 * write: they could put a file of theirs in the place of any that is made here.
 */
export function makePrivateFolder(path: string): void {
  saying(() => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode } = statSync(path);
    if ((mode & othersMayWrite) !== 0)
      throw new FileError("other users may write there: chmod o-w, or choose another", "");
  });
}

/** What stands at a path itself, a symbolic link's target left alone. */
export function kindAt(path: string): "nothing" | "file" | "other" {
  return saying(() => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return "nothing";
    return stats.isFile() ? "file" : "other";
  });
}

/** Makes a folder with these files, whole or not at all. Throws FileError (EEXIST) if anything stands there. */
export function writeFolder(path: string, files: readonly NewFile[]): void {
  within(dirname(path), (trial) => {
    for (const file of files) write(join(trial, file.name), file);
    assertNothing(path);
    // A folder takes the place of an empty one, and of no link: rename(2).
    renameSync(trial, path);
  });
}

/** Makes these files in a folder that is there, each whole or not at all. Throws FileError (EEXIST) if one stands there. */
export function writeFiles(folder: string, files: readonly NewFile[]): void {
  within(folder, (trial) => {
    for (const file of files) write(join(trial, file.name), file);
    for (const { name } of files) assertNothing(join(folder, name));
    for (const { name } of files) renameSync(join(trial, name), join(folder, name));
  });
}

/** Replaces the contents of files that are there, one rename each; owner and mode stay as they are. Throws FileError. */
export function replaceFiles(folder: string, files: readonly Omit<NewFile, "mode">[]): void {
  within(folder, (trial) => {
    for (const { name, text } of files) {
      const { mode, uid, gid } = lstatSync(join(folder, name));
      const path = join(trial, name);
      write(path, { name, text, mode: 0o600 });
      if (uid !== process.geteuid?.() || gid !== process.getegid?.()) chownSync(path, uid, gid);
      chmodSync(path, mode & permissions); // After chown(2), which clears bits.
    }
    for (const { name } of files) renameSync(join(trial, name), join(folder, name));
  });
}

function assertNothing(path: string): void {
  if (kindAt(path) !== "nothing")
    throw new FileError(`${basename(path)} is there already`, "EEXIST");
}

/** A folder of mode 0700 with a name that nobody knows before (mkdtemp(3)), gone afterwards. */
function within(folder: string, act: (trial: string) => void): void {
  saying(() => {
    const trial = mkdtempSync(join(folder, ".new-"));
    try {
      act(trial);
    } finally {
      rmSync(trial, { recursive: true, force: true });
    }
  });
}

/** O_EXCL: no link is followed. open(2). */
function write(path: string, { text, mode }: NewFile): void {
  writeFileSync(path, text, { mode, flag: "wx" });
}

function saying<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof FileError) throw error;
    if (!(error instanceof Error) || !("code" in error)) throw error;
    const code = String(error.code);
    throw new FileError(writeWords.get(code) ?? words.get(code) ?? code, code, error);
  }
}

const permissions = 0o777;
const othersMayWrite = 0o002;
const writeWords = new Map([
  ["EEXIST", "it is there already, and is no folder"],
  ["EROFS", "the file system is read-only"],
  ["ENOSPC", "no space is left"],
  ["EDQUOT", "no space is left"],
  ["EACCES", "this user may not look or write there"],
  ["EPERM", "this user may not write there"],
]);
