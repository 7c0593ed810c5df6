/** Starts the repair process (ffi/src/repair.zig), and communicates with it by whole writes and reads. */
import { closeSync, readSync, writeSync } from "node:fs";
import { constants } from "node:os";

import { build } from "../runtime/build.ts";
import repairPath from "../../ffi/zig-out/bin/tproxy-repair" with { type: "file" };
import { block } from "./block.ts";
import { check, SystemCallError } from "./errno.ts";
import { inMemory, shim } from "./native.ts";

export type RepairProcess = {
  readonly pid: number;
  /** Our end of the socket to it, non-blocking and close-on-exec. */
  readonly fd: number;
};

/**
 * Starts the repair process with only CAP_NET_ADMIN and nothing of this process in its memory. The static executable
 * is its own repair process; the dynamic one contains it as a file. Throws SystemCallError.
 */
export function spawnRepairProcess(launched: Launched | null = null): RepairProcess {
  return withExecutable((path) => {
    if (launched === null) return startWith(path, -1);
    const launcher = startLauncher(path, launched);
    try {
      return startWith(path, launcher.fd);
    } finally {
      // Now only the repair process holds it: without one the launcher ends.
      closeSync(launcher.fd);
    }
  });
}

/**
 * What the launcher starts on request of the repair process: this executable with these arguments, and nothing else.
 */
export type Launched = {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
};

function startWith(path: string, launcher: number): RepairProcess {
  const end = new Int32Array(1);
  const started = shim.tproxy_repair_start(block([path]), launcher, end);
  return { pid: check("start the repair process", started), fd: end[0] ?? -1 };
}

/** The name must match ffi/src/repair_start.zig. */
function startLauncher(path: string, { command, environment }: Launched): RepairProcess {
  const argv = block(["tls-tproxy-launcher", ...command]);
  const all = Object.entries(environment);
  const variables = block(all.map(([name, value]) => `${name}=${value ?? ""}`));
  const end = new Int32Array(1);
  const started = shim.tproxy_launcher_start(
    block([path]),
    argv,
    argv.length,
    variables,
    variables.length,
    end,
  );
  return { pid: check("start the launcher of the repair process", started), fd: end[0] ?? -1 };
}

function withExecutable(act: (path: string) => RepairProcess): RepairProcess {
  if (build.flavour === "static") return act("/proc/self/exe");
  if (!repairPath.startsWith("/$bunfs/")) return act(repairPath);
  const file = inMemory(repairPath);
  if (file === null) throw new SystemCallError("memfd_create", constants.errno.ENOSYS);
  try {
    return act(`/proc/self/fd/${file}`);
  } finally {
    closeSync(file);
  }
}

/** Writes all of it, waiting at most `msMax` for room. Throws SystemCallError: EPIPE, ETIMEDOUT. */
export function writeAll(fd: number, bytes: Uint8Array, msMax: number): void {
  for (let at = 0; at < bytes.length;) {
    waitFor(fd, pollOut, msMax);
    at += attempt("write", () => writeSync(fd, bytes, at));
  }
}

/** Reads pending data into `buffer`: returns its length, 0 at the end. Throws SystemCallError: ETIMEDOUT. */
export function readSome(fd: number, buffer: Uint8Array, msMax: number): number {
  waitFor(fd, pollIn, msMax);
  try {
    return attempt("read", () => readSync(fd, buffer));
  } catch (error) {
    // The other end closed before it had read everything: unix(7).
    if (error instanceof SystemCallError && error.errno === constants.errno.ECONNRESET) return 0;
    throw error;
  }
}

/** Reaps all ended children; false while one lives. */
export function reapAll(): boolean {
  for (;;) {
    const found = shim.tproxy_reap(anyChild);
    if (found <= 0) return found < 0;
  }
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

const anyChild = -1;
/** poll(2). */
const pollIn = 1;
const pollOut = 4;
