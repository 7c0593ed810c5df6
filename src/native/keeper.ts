/** The process that keeps the rules: ffi/src/keeper.zig. Started here, and spoken to by whole writes and reads. */
import { closeSync, readSync, writeSync } from "node:fs";
import { constants } from "node:os";

import { build } from "../build.ts";
import keeperPath from "../../ffi/zig-out/bin/tproxy-keeper" with { type: "file" };
import { block } from "./block.ts";
import { check, SystemCallError } from "./errno.ts";
import { inMemory, shim } from "./native.ts";

export type KeeperProcess = {
  readonly pid: number;
  /** Our end of the socket between us, non-blocking and close-on-exec. */
  readonly fd: number;
};

/**
 * Starts the keeper with CAP_NET_ADMIN alone and nothing of this process in its memory. The static executable is its
 * own keeper; the dynamic one carries it as a file. Throws SystemCallError.
 */
export function startKeeper(): KeeperProcess {
  const end = new Int32Array(1);
  const start = (path: string): number =>
    check("start the keeper of the rules", shim.tproxy_keeper_start(block([path]), end));
  if (build.flavour === "static") return { pid: start("/proc/self/exe"), fd: end[0] ?? -1 };
  if (!keeperPath.startsWith("/$bunfs/")) return { pid: start(keeperPath), fd: end[0] ?? -1 };
  const file = inMemory(keeperPath);
  if (file === null) throw new SystemCallError("memfd_create", constants.errno.ENOSYS);
  try {
    return { pid: start(`/proc/self/fd/${file}`), fd: end[0] ?? -1 };
  } finally {
    closeSync(file);
  }
}

/** Writes all of it, waiting `msMax` for room at most. Throws SystemCallError: EPIPE, ETIMEDOUT. */
export function writeAll(fd: number, bytes: Uint8Array, msMax: number): void {
  for (let at = 0; at < bytes.length;) {
    waitFor(fd, pollOut, msMax);
    at += attempt("write", () => writeSync(fd, bytes, at));
  }
}

/** What waits to be read, into `buffer`: its length, 0 at the end. Throws SystemCallError: ETIMEDOUT. */
export function readSome(fd: number, buffer: Uint8Array, msMax: number): number {
  waitFor(fd, pollIn, msMax);
  try {
    return attempt("read", () => readSync(fd, buffer));
  } catch (error) {
    // It ended before it had read all: unix(7).
    if (error instanceof SystemCallError && error.errno === constants.errno.ECONNRESET) return 0;
    throw error;
  }
}

/** Whether the child has ended and its entry in the table of processes is gone; false while it lives. */
export function reap(pid: number): boolean {
  return shim.tproxy_reap(pid) !== 0;
}

function waitFor(fd: number, events: number, msMax: number): void {
  if (check("poll", shim.tproxy_poll(fd, events, msMax)) === 0)
    throw new SystemCallError("poll", constants.errno.ETIMEDOUT);
}

function attempt(call: string, act: () => number): number {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error && "errno" in error && typeof error.errno === "number"))
      throw error;
    throw new SystemCallError(call, Math.abs(error.errno));
  }
}

/** poll(2). */
const pollIn = 1;
const pollOut = 4;
