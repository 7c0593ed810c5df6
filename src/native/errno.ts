/** Names of errno values; the shim returns them negated because bun:ffi cannot read errno. */
import { constants } from "node:os";

import { ProxyError } from "../runtime/errors.ts";

const names = new Map<number, string>(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);

/** A system call that failed. `errno` is positive, as in errno(3). */
export class SystemCallError extends ProxyError {
  readonly call: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    super("SYSTEM_CALL", `${call}: ${errnoName(errno)}`);
    this.call = call;
    this.errno = errno;
  }
}

/** "ECONNREFUSED" for 111; "errno 4095" for a value without a name. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** Returns a result >= 0; throws SystemCallError for -errno. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, -result);
  return result;
}
