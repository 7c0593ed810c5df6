/** This process's capabilities: capabilities(7). */
import { readFileSync } from "node:fs";
import { constants } from "node:os";

import { block } from "./block.ts";
import { check, SystemCallError } from "./errno.ts";
import { shim } from "./native.ts";

/** Constants of linux/capability.h. */
export const capability = { netBindService: 10, netAdmin: 12, netRaw: 13 } as const;

/** CapEff of /proc/self/status, one bit per capability. */
export function effectiveCapabilities(): bigint {
  const mask = /^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
  return BigInt(`0x${mask ?? "0"}`);
}

export function hasCapability(number: number): boolean {
  return ((effectiveCapabilities() >> BigInt(number)) & 1n) === 1n;
}

/** Drops all capabilities of this thread but these, for good, and those of the programs that it executes. */
export function confine(keep: readonly number[]): void {
  const mask = keep.reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
  check("capset", shim.tproxy_confine(mask));
}

/**
 * Drops all capabilities but these, for good, and executes this executable again with the same arguments: execve(2).
 * Descriptors set to stay open stay open. Returns only by throwing SystemCallError.
 */
export function reexec(
  keep: readonly number[],
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): never {
  const count = Math.max(command.length, Object.keys(environment).length);
  if (count > stringsMax) throw new SystemCallError("execve", constants.errno.E2BIG);
  confine(keep);
  const argv = block(command);
  const variables = block(
    Object.entries(environment).map(([name, value]) => `${name}=${value ?? ""}`),
  );
  check("execve", shim.tproxy_replace(argv, argv.length, variables, variables.length));
  throw new Error("execve has returned");
}

/** ffi/src/privileges.zig. */
const stringsMax = 65_536;

/** Whether a descriptor stays open over an execve(2). */
export function setStaysOpen(fd: number, stays: boolean): void {
  check("fcntl(F_SETFD)", shim.tproxy_set_close_on_exec(fd, Number(!stays)));
}
