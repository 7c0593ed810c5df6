/**
 * Creates files and folders for their owner only, atomically: nothing planted in their place is followed or
 * overwritten.
 */
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

import { FileError, saying, words } from "./files.ts";

export type NewFile = {
  readonly name: string;
  readonly text: string;
  /** 0o600 for a key, set at creation. */
  readonly mode: number;
};

/**
 * Creates a folder and its parents, for the owner only, if there is none. Throws FileError for a folder that others
 * can write to: they could replace any file made in it.
 */
export function makePrivateFolder(path: string): void {
  saying(() => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode } = statSync(path);
    if ((mode & othersMayWrite) !== 0)
      throw new FileError("other users may write there: chmod o-w, or choose another", "");
  }, wordsOf);
}

/** The kind of the path itself, without following a symbolic link. */
export function kindAt(path: string): "nothing" | "file" | "other" {
  return saying(() => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return "nothing";
    return stats.isFile() ? "file" : "other";
  }, wordsOf);
}

/** Creates a folder with these files, atomically. Throws FileError (EEXIST) if the path exists. */
export function writeFolder(path: string, files: readonly NewFile[]): void {
  within(dirname(path), (trial) => {
    for (const file of files) write(join(trial, file.name), file);
    assertNothing(path);
    // rename(2) replaces an empty folder, but no link.
    renameSync(trial, path);
  });
}

/** Creates these files in an existing folder, each atomically. Throws FileError (EEXIST) if one exists. */
export function writeFiles(folder: string, files: readonly NewFile[]): void {
  within(folder, (trial) => {
    for (const file of files) write(join(trial, file.name), file);
    for (const { name } of files) assertNothing(join(folder, name));
    for (const { name } of files) renameSync(join(trial, name), join(folder, name));
  });
}

/** Replaces the contents of existing files, one rename each; keeps owner and mode. Throws FileError. */
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
  if (kindAt(path) !== "nothing") throw new FileError(`${basename(path)} already exists`, "EEXIST");
}

/** A folder with mode 0700 and an unpredictable name (mkdtemp(3)), removed afterwards. */
function within(folder: string, act: (trial: string) => void): void {
  saying(() => {
    const trial = mkdtempSync(join(folder, ".new-"));
    try {
      act(trial);
    } finally {
      rmSync(trial, { recursive: true, force: true });
    }
  }, wordsOf);
}

/** O_EXCL does not follow links: open(2). */
function write(path: string, { text, mode }: NewFile): void {
  writeFileSync(path, text, { mode, flag: "wx" });
}

function wordsOf(code: string): string {
  return writeWords.get(code) ?? words.get(code) ?? code;
}

const permissions = 0o777;
const othersMayWrite = 0o002;
const writeWords = new Map([
  ["EEXIST", "it already exists and is not a directory"],
  ["EROFS", "the file system is read-only"],
  ["ENOSPC", "no space is left"],
  ["EDQUOT", "no space is left"],
  ["EACCES", "this user may not look or write there"],
  ["EPERM", "this user may not write there"],
]);
