/** New namespaces: namespaces(7), and what their first process needs. */
import { block } from "../native/block.ts";
import { check } from "../native/errno.ts";
import { shim } from "../native/native.ts";

/** clone(2)'s flags. */
export const newNamespace = {
  mount: 0x0002_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const;

export type EnterOptions = {
  /** A combination of `newNamespace`. In a new user namespace the caller is root, and no other user exists. */
  readonly flags: number;
  /** The descriptor that becomes the new program's standard output. */
  readonly output: number;
  /** argv, including the program's name; at most 64, as for the environment. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
};

/**
 * Starts this executable again in new namespaces and returns its pid; the kernel kills it when the caller dies.
 * Throws SystemCallError with the error of clone(2), the id maps or execve(2).
 */
export function enter(options: EnterOptions): number {
  const { flags, output } = options;
  const argv = block(options.arguments);
  const environment = block(
    Object.entries(options.environment).map(([name, value]) => `${name}=${value}`),
  );
  return check(
    "clone",
    shim.tproxy_enter(flags, output, argv, argv.length, environment, environment.length),
  );
}

/** Blocks until the child `pid` has ended: its exit status, or 128 plus its signal. */
export function wait(pid: number): number {
  return check("wait4", shim.tproxy_wait(pid));
}

/** unshare(2) for this thread, and for the threads and processes that it starts later. */
export function unshare(flags: number): void {
  check("unshare", shim.tproxy_unshare(flags));
}

/** Mounts an empty in-memory file system over `target`, in this mount namespace only. */
export function mountMemory(target: string): void {
  const kind = block(["tmpfs"]);
  check(`mount(tmpfs, ${target})`, shim.tproxy_mount(kind, block([target]), msNosuid | msNodev));
}

/** Keeps changes to mounts within this mount namespace: mount_namespaces(7). */
export function makeMountsPrivate(): void {
  check("mount(/)", shim.tproxy_mount(block(["none"]), block(["/"]), msRec | msPrivate));
}

/** A pipe, close-on-exec. */
export function openPipe(): { readonly reader: number; readonly writer: number } {
  const ends = new Int32Array(2);
  check("pipe2", shim.tproxy_pipe(ends));
  return { reader: ends[0] ?? -1, writer: ends[1] ?? -1 };
}

/** mount(2). */
const msNosuid = 2;
const msNodev = 4;
const msRec = 0x4000;
const msPrivate = 0x4_0000;
