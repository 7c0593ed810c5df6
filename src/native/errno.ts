/** Names of errno values; the shim returns them negated because bun:ffi cannot read errno. */
import { constants } from "node:os";

import { ProxyError } from "../runtime/errors.ts";
import { shortageOf } from "../runtime/shortage.ts";

const names = new Map<number, string>(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);

/** A system call that failed. `errno` is positive, as in errno(3). The message has the remedy for a shortage. */
export class SystemCallError extends ProxyError {
  readonly call: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    const name = errnoName(errno);
    const remedy = shortageOf(name);
    super("SYSTEM_CALL", `${call}: ${name}${remedy === undefined ? "" : ` (${remedy})`}`);
    this.call = call;
    this.errno = errno;
  }
}

/** "ECONNREFUSED" for 111; "errno 4095" for a value without a name. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** Runs a function of node:fs: throws its errors of the kernel as SystemCallError. */
export function checkFile<T>(call: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Error) || !("errno" in error)) throw error;
    throw new SystemCallError(call, Math.abs(Number(error.errno)));
  }
}

/** Returns a result >= 0; throws SystemCallError for -errno. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, -result);
  return result;
}
