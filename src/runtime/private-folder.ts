/**
 * A folder that only its owner may change, held by a descriptor: what takes the place of its path, or is planted in it,
 * is neither followed nor overwritten.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { basename } from "node:path";

import { FileError, readOpenFile, saying, words } from "./files.ts";

export type Kind = "nothing" | "file" | "folder" | "link" | "other";

export type NewFile = {
  readonly name: string;
  readonly text: string;
  /** 0o600 for a key, set at creation. */
  readonly mode: number;
  /** Ours if absent. */
  readonly owner?: Pick<Stats, "uid" | "gid">;
};

export class PrivateFolder {
  readonly #fd: number;
  readonly #beforeChange: () => void;

  private constructor(fd: number, beforeChange: () => void) {
    this.#fd = fd;
    this.#beforeChange = beforeChange;
  }

  /**
   * Opens a folder, and creates it and its parents if there is none, for the owner only. `beforeChange` is called before
   * each system call that changes something in it. Throws FileError for a folder that others may write to: they could
   * replace any file made in it.
   */
  static make(path: string, beforeChange: () => void = () => undefined): PrivateFolder {
    return saying(() => {
      if (!existsSync(descriptors)) throw new FileError("/proc is not mounted", withoutProc);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return openFolder(path, 0, (fd) => new PrivateFolder(fd, beforeChange));
    }, wordsOf);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** The kind of what has this name, without following a symbolic link. */
  kindOf(name: string): Kind {
    return kindAt(this.#path(name));
  }

  names(): readonly string[] {
    return saying(() => readdirSync(this.#path("."), "utf8"), wordsOf).toSorted();
  }

  /** A folder in it. Throws FileError for anything else, a symbolic link too, and for one that others may write to. */
  folder(name: string): PrivateFolder {
    return saying(() => {
      if (kindAt(this.#path(name)) === "link")
        throw new FileError("it is a symbolic link", "ELOOP");
      const open = (fd: number): PrivateFolder => new PrivateFolder(fd, this.#beforeChange);
      return openFolder(this.#path(name), constants.O_NOFOLLOW, open);
    }, wordsOf);
  }

  /** Reads a regular file as `readRegularFile` does, and follows no symbolic link. */
  read(name: string, bytesMax: number): Buffer {
    return saying(() => {
      const kind = this.kindOf(name);
      if (kind === "link")
        throw new FileError("it is a symbolic link, it must be a regular file", "");
      if (kind === "folder" || kind === "other")
        throw new FileError("it must be a regular file", "");
      const fd = openSync(this.#path(name), constants.O_RDONLY | readFlags);
      try {
        return readOpenFile(fd, bytesMax);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Of the file itself. */
  stats(name: string): Stats {
    return saying(() => lstatSync(this.#path(name)), wordsOf);
  }

  /** A new folder with mode 0700 and a name that begins like this and is unpredictable: mkdtemp(3). */
  makeTemporary(prefix: string): string {
    return this.#change(() => basename(mkdtempSync(this.#path(prefix))));
  }

  /** Creates a file, and follows no link: O_EXCL, open(2). It is on the disk when this returns. */
  write({ name, text, mode, owner }: NewFile): void {
    this.#change(() => {
      const fd = openSync(this.#path(name), newFileFlags, owner === undefined ? mode : 0o600);
      try {
        writeFileSync(fd, text);
        if (owner !== undefined) {
          if (!isOurs(owner)) fchownSync(fd, owner.uid, owner.gid);
          fchmodSync(fd, mode); // After chown(2), which clears bits.
        }
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Gives another name to an entry of `from`, in this folder. Replaces what has the name: rename(2). */
  take(from: PrivateFolder, before: string, after: string): void {
    this.#change(() => {
      renameSync(from.#path(before), this.#path(after));
    });
  }

  removeFile(name: string): void {
    this.#change(() => {
      unlinkSync(this.#path(name));
    });
  }

  /** An empty one. */
  removeFolder(name: string): void {
    this.#change(() => {
      rmdirSync(this.#path(name));
    });
  }

  /** The names in it are on the disk when this returns; some file systems cannot say so of a folder: fsync(2). */
  sync(): void {
    try {
      saying(() => {
        fsyncSync(this.#fd);
      }, wordsOf);
    } catch (error) {
      if (!(error instanceof FileError) || !unsynced.has(error.code)) throw error;
    }
  }

  #change<T>(act: () => T): T {
    this.#beforeChange();
    return saying(act, wordsOf);
  }

  /** node:fs has no openat(2); the link in /proc leads to the open folder, whatever its path is by now. */
  #path(name: string): string {
    return `${descriptors}/${this.#fd}/${name}`;
  }
}

/** The code of the FileError without /proc. */
export const withoutProc = "NO_PROC";
/** The code of the FileError for a folder that other users than its owner may write to. */
export const writableByOthers = "WRITABLE_BY_OTHERS";

/** The kind of the path itself, without following a symbolic link. Throws FileError. */
export function kindAt(path: string): Kind {
  const stats = saying(() => lstatSync(path, { throwIfNoEntry: false }), wordsOf);
  if (stats === undefined) return "nothing";
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  return stats.isSymbolicLink() ? "link" : "other";
}

function openFolder<T>(path: string, flags: number, use: (fd: number) => T): T {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | flags);
  try {
    if ((fstatSync(fd).mode & othersMayWrite) !== 0)
      throw new FileError("other users may write there", writableByOthers);
    return use(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isOurs({ uid, gid }: Pick<Stats, "uid" | "gid">): boolean {
  return uid === process.geteuid?.() && gid === process.getegid?.();
}

function wordsOf(code: string): string {
  return writeWords.get(code) ?? words.get(code) ?? code;
}

const descriptors = "/proc/self/fd";
const unsynced: ReadonlySet<string> = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP"]);
const readFlags = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;
const newFileFlags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Access control lists count too: their mask is shown as the group's bits, acl(5). */
const othersMayWrite = 0o022;
const writeWords = new Map([
  ["EEXIST", "it already exists and is not a directory"],
  ["ENOTEMPTY", "another call changes it at the same time"],
  ["EROFS", "the file system is read-only"],
  ["ENOSPC", "no space is left"],
  ["EDQUOT", "no space is left"],
  ["EACCES", "this user may not look or write there"],
  ["EPERM", "this user may not write there"],
]);
