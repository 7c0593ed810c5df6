/** Reads files named by options: regular ones of limited size, and none that could make the reader wait. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from "node:fs";

import { shortageOf } from "./shortage.ts";

/** Why a file was not read, in words for an operator: "it is a directory, a regular file is wanted". */
export class FileError extends Error {
  override readonly name = "FileError";
  /** As in errno(3) ("ENOENT"); "" for a refusal by this module. */
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }

  /** Not the file is to blame, and it can be read later. */
  get isShortage(): boolean {
    return shortageOf(this.code) !== undefined;
  }
}

/**
 * Reads a whole regular file of at most `bytesMax` bytes. Throws FileError for anything else. Checks twice: before
 * opening, because opening a device may have an effect (tapes, watchdogs), and then the opened file, because the name
 * may lead elsewhere by then. O_NONBLOCK, because open(2) of a FIFO would wait for a writer. A file system that hangs
 * also hangs the reader.
 */
export function readRegularFile(path: string, bytesMax: number): Buffer {
  return saying(() => {
    assertRegular(statSync(path), bytesMax);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      return readOpenFile(fd, bytesMax);
    } finally {
      closeSync(fd);
    }
  });
}

/** Reads an open regular file of at most `bytesMax` bytes. Throws FileError, or node:fs's errors. */
export function readOpenFile(fd: number, bytesMax: number): Buffer {
  const stats = fstatSync(fd);
  assertRegular(stats, bytesMax);
  return readAll(fd, stats.size, bytesMax);
}

function assertRegular(stats: Stats, bytesMax: number): void {
  const kind = kinds.find(([is]) => is(stats))?.[1] ?? "of an unknown kind";
  if (!stats.isFile()) throw new FileError(`it is ${kind}, it must be a regular file`, "");
  if (stats.size > bytesMax) throw tooLarge(bytesMax);
}

/** The size from fstat(2) may be missing (/proc) or out of date. Uses one buffer, so that a key is in no other. */
function readAll(fd: number, size: number, bytesMax: number): Buffer {
  let buffer: Buffer = Buffer.alloc(size + 1);
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > bytesMax) throw tooLarge(bytesMax);
    if (length === buffer.length) buffer = grown(buffer, bytesMax);
  }
}

function grown(buffer: Buffer, bytesMax: number): Buffer {
  const larger = Buffer.alloc(Math.min(bytesMax + 1, Math.max(chunkBytes, 2 * buffer.length)));
  buffer.copy(larger);
  buffer.fill(0);
  return larger;
}

/** Whatever fails is a FileError: `wordsOf` says why, for an error code. */
export function saying<T>(act: () => T, wordsOf = readWords): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof FileError) throw error;
    if (!(error instanceof Error) || !("code" in error)) throw error;
    const code = String(error.code);
    throw new FileError(wordsOf(code), code, error);
  }
}

function readWords(code: string): string {
  const shortage = shortageOf(code);
  return (
    words.get(code) ?? `it cannot be read: ${code}${shortage === undefined ? "" : ` (${shortage})`}`
  );
}

function tooLarge(bytesMax: number): FileError {
  return new FileError(`it is larger than ${bytesMax} bytes`, "");
}

const chunkBytes = 65_536;
const kinds: readonly (readonly [is: (stats: Stats) => boolean, words: string])[] = [
  [(stats) => stats.isDirectory(), "a directory"],
  [(stats) => stats.isFIFO(), "a FIFO"],
  [(stats) => stats.isCharacterDevice(), "a device"],
  [(stats) => stats.isBlockDevice(), "a device"],
  [(stats) => stats.isSocket(), "a socket"],
];
export const words: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "there is no such file"],
  ["ENOTDIR", "there is no such file: a part of its path is not a directory"],
  ["EACCES", "it may not be read by this user"],
  ["ELOOP", "its symbolic links lead in a circle"],
  ["ENAMETOOLONG", "its name is too long"],
  ["EAGAIN", "it has nothing to read: it must be a regular file"],
  ["EIO", "it cannot be read: EIO (is it a regular file?)"],
]);
