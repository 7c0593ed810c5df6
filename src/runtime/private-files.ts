/**
 * Changes several files of a private folder in one step: an end at any moment, of the process or of the machine, leaves
 * either the old ones or the new ones, once `settleLeftovers` has been called again.
 *
 * The new files are written to a temporary folder beside them. It is then given the name of a finished one: this is the
 * one step. Finished files are moved to their places, by this call or by the next `settleLeftovers`.
 */
import { readFileSync } from "node:fs";

import { FileError } from "./files.ts";
import type { NewFile, PrivateFolder } from "./private-folder.ts";

/** Creates a folder with these files. Throws FileError (EEXIST) if there is something of its name. */
export function writeFolder(parent: PrivateFolder, name: string, files: readonly NewFile[]): void {
  stage(parent, files, (temporary) => {
    assertNothing(parent, name);
    // rename(2) replaces an empty folder, but no link.
    parent.take(parent, temporary, name);
    parent.sync();
  });
}

/** Creates these files. Throws FileError (EEXIST) if there is something of one of their names. */
export function writeFiles(folder: PrivateFolder, files: readonly NewFile[]): void {
  stage(folder, files, (temporary) => {
    for (const { name } of files) assertNothing(folder, name);
    folder.take(folder, temporary, finished.new);
  });
  moveFinished(folder);
}

/** Replaces the contents of existing files, and keeps their owner and mode: of a key only the owner's part. */
export function replaceFiles(folder: PrivateFolder, files: readonly NewFile[]): void {
  const kept = files.map(({ mode, ...file }) => {
    const owner = folder.stats(file.name);
    return { ...file, owner, mode: owner.mode & ((mode & othersMayRead) === 0 ? 0o700 : 0o777) };
  });
  stage(folder, kept, (temporary) => {
    folder.take(folder, temporary, finished.replacing);
  });
  moveFinished(folder);
}

/**
 * Completes what an interrupted call had finished, and removes what it had not. `isRest` judges the temporary folders of
 * the first releases, which moved files from it one by one: true if a file of it belongs to those already moved.
 */
export function settleLeftovers(
  folder: PrivateFolder,
  isRest: (temporary: PrivateFolder) => boolean = () => false,
): void {
  moveFinished(folder);
  for (const name of folder.names().filter((one) => isLeftover(one))) {
    if (folder.kindOf(name) !== "folder") continue;
    if (firstReleases.test(name) && isRestIn(folder, name, isRest)) {
      folder.take(folder, name, finished.replacing);
      moveFinished(folder);
    } else remove(folder, name);
  }
}

/** Writes the files to a temporary folder, which is removed if `use` throws. */
function stage(
  folder: PrivateFolder,
  files: readonly NewFile[],
  use: (temporary: string) => void,
): void {
  const temporary = folder.makeTemporary(`${prefix}${process.pid}.${startOf(process.pid)}-`);
  try {
    using opened = folder.folder(temporary);
    for (const file of files) opened.write(file);
    opened.sync();
    use(temporary);
  } catch (error) {
    if (folder.kindOf(temporary) === "folder") remove(folder, temporary);
    throw error;
  }
}

/** Another call may do the same at the same time: each file is moved once, before other files can be finished. */
function moveFinished(folder: PrivateFolder): void {
  for (const from of Object.values(finished)) {
    if (folder.kindOf(from) === "nothing") continue;
    folder.sync();
    unlessGone(() => {
      moveAll(folder, from);
    });
    folder.sync();
    unlessGone(() => {
      folder.removeFolder(from);
    });
  }
}

/** Throws FileError (EEXIST) if a new file's place was taken since its call was interrupted. */
function moveAll(folder: PrivateFolder, from: string): void {
  using opened = folder.folder(from);
  for (const name of opened.names()) {
    // The place first: another call may move the file meanwhile.
    if (
      from === finished.new &&
      folder.kindOf(name) !== "nothing" &&
      opened.kindOf(name) === "file"
    )
      throw new FileError(
        `${name} already exists, and ${from}/${name} of an interrupted call too: remove one of them`,
        "EEXIST",
      );
    unlessGone(() => {
      folder.take(opened, name, name);
    });
  }
}

/** Files in it, and the folder itself if there is nothing else in it. */
function remove(folder: PrivateFolder, name: string): void {
  unlessGone(() => {
    using opened = folder.folder(name);
    for (const one of opened.names().filter((entry) => opened.kindOf(entry) === "file"))
      unlessGone(() => {
        opened.removeFile(one);
      });
    folder.removeFolder(name);
  });
}

function isRestIn(
  folder: PrivateFolder,
  name: string,
  isRest: (temporary: PrivateFolder) => boolean,
): boolean {
  using opened = folder.folder(name);
  return isRest(opened);
}

function assertNothing(folder: PrivateFolder, name: string): void {
  if (folder.kindOf(name) !== "nothing") throw new FileError(`${name} already exists`, "EEXIST");
}

/** A temporary folder whose process has ended. */
function isLeftover(name: string): boolean {
  const [, pid = "", start] = temporaries.exec(name) ?? [];
  if (start === undefined) return firstReleases.test(name);
  return startOf(Number(pid)) !== start;
}

/** When a process started: a later one with the same pid has another time. "" for none. proc_pid_stat(5), field 22. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[startField - firstFieldAfterName] ?? "";
  } catch {
    return "";
  }
}

/** By another call: ENOENT for an entry, ENOTEMPTY for a folder that it uses by now. */
function unlessGone(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof FileError) || !["ENOENT", "ENOTEMPTY"].includes(error.code)) throw error;
  }
}

const prefix = ".new-";
/** The names of a finished folder: its files are new, or replace others. */
const finished = { new: ".new-files", replacing: ".new-contents" } as const;
const temporaries = /^\.new-(\d+)\.(\d+)-\w{6}$/;
const firstReleases = /^\.new-\w{6}$/;
const othersMayRead = 0o044;
const startField = 22;
const firstFieldAfterName = 3;
