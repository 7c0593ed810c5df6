/** Names of users and groups on this machine or in this image. */
import { FileError, readRegularFile } from "../runtime/files.ts";

/** The number of a name in /etc/passwd or /etc/group, or null if the name or the file does not exist. */
export function idOf(file: string, name: string): number | null {
  return parseId(readOrEmpty(file), name);
}

/** Parses text in the format of passwd(5) and group(5): the name is the first field, the number the third. */
export function parseId(text: string, name: string): number | null {
  const found = text
    .split("\n")
    .map((line) => line.split(":"))
    .find(([one]) => one === name);
  const id = found?.[2] ?? "";
  return /^\d{1,10}$/.test(id) && Number(id) <= idMax ? Number(id) : null;
}

function readOrEmpty(file: string): string {
  try {
    return readRegularFile(file, fileBytesMax).toString("utf8");
  } catch (error) {
    if (error instanceof FileError) return ""; // An image without users.
    throw error;
  }
}

/** 4294967295 means none: chown(2). */
const idMax = 4_294_967_294;
/** Room for some hundred thousand accounts. */
const fileBytesMax = 1 << 24;
