/** Resets cleartext connections that the rules would divert, because they may not continue in cleartext. */
import { readdirSync, readlinkSync } from "node:fs";

import { destroySocket } from "../../netlink/diag.ts";
import { linkIndexOf, listLinks } from "../../netlink/route.ts";
import { protocol, isErrno, kernel as ours, type Kernel } from "../../netlink/socket.ts";
import { SystemCallError } from "../../native/errno.ts";
import type { Connections } from "../kernel/encode.ts";
import { keyOf, preexistingKeys, readSockets } from "../kernel/open-before.ts";
import { type Tuple } from "../kernel/proc-tcp.ts";

export type CleartextReset = {
  readonly ended: number;
  /** The kernel's error if it does not reset one: it lacks CONFIG_INET_DIAG_DESTROY. */
  readonly refusal: string | null;
};

/**
 * Resets those of this network namespace for which `fits` is true, except our own sockets and preexisting connections
 * (`kept`).
 */
export function resetCleartext(
  fits: () => (tuple: Tuple) => boolean,
  kept: Connections = new Map(),
  { kernel = ours, sockets = theirSockets }: Partial<Sight> = {},
): CleartextReset {
  const spared = preexistingKeys(kept);
  const found = listed(() => {
    const wanted = fits();
    return sockets().filter((one) => !spared.has(keyOf(one)) && wanted(one));
  });
  if (typeof found === "string") return { ended: 0, refusal: found };
  const { ended, refusal } = resetSockets(found, kernel);
  return { ended: ended.length, refusal };
}

export type SocketsReset = {
  readonly ended: readonly Tuple[];
  /** Those that the kernel did not reset although they exist. */
  readonly refused: readonly Tuple[];
  readonly refusal: string | null;
};

/** Resets these. A connection that has ended by itself is in neither list. */
export function resetSockets(tuples: readonly Tuple[], kernel: Kernel = ours): SocketsReset {
  const ended: Tuple[] = [];
  const refused: Tuple[] = [];
  let refusal: string | null = null;
  const interfaces = tuples.length === 0 ? [] : boundInterfaces(kernel);
  for (const tuple of tuples) {
    const end = endSocket(tuple, interfaces, kernel);
    if (end === "ended") ended.push(tuple);
    else if (end !== "gone") {
      refused.push(tuple);
      refusal ??= end.refusal;
    }
  }
  return { ended, refused, refusal };
}

/** The kernel finds a socket bound to an interface only by that interface's index: inet_hashtables.h, INET_MATCH. */
function endSocket(
  tuple: Tuple,
  interfaces: readonly number[],
  kernel: Kernel,
): "ended" | "gone" | { readonly refusal: string } {
  for (const boundTo of [0, ...interfaces]) {
    try {
      using socket = kernel(protocol.diag);
      socket.send([destroySocket(tuple, boundTo)]);
      return "ended";
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      if (!isErrno(error, "ENOENT")) return { refusal: error.message };
    }
  }
  return "gone";
}

/** All interfaces here. Empty if the kernel does not list them. */
export function boundInterfaces(kernel: Kernel = ours): readonly number[] {
  try {
    using socket = kernel(protocol.route);
    return socket.exchange([listLinks()]).map(({ payload }) => linkIndexOf(payload));
  } catch (error) {
    if (error instanceof SystemCallError) return [];
    throw error;
  }
}

type Sight = { readonly kernel: Kernel; readonly sockets: () => readonly Tuple[] };

/** The list, or why there is none: without a free descriptor nothing can be listed, which is no reason to end. */
function listed(sockets: Sight["sockets"]): readonly Tuple[] | string {
  try {
    return sockets();
  } catch (error) {
    if (error instanceof Error && "code" in error) return error.message;
    throw error;
  }
}

/** Established connections of processes other than `pid`. */
export function theirSockets(pid: number | "self" = "self"): readonly Tuple[] {
  const own = socketsOf(pid);
  return readSockets().filter(({ isOpening, inode }) => !isOpening && !own.has(inode));
}

/** Inodes of the sockets that a process holds: proc(5), fd. */
function socketsOf(pid: number | "self"): ReadonlySet<string> {
  const folder = `/proc/${pid}/fd`;
  const inodes = readdirSync(folder).map((fd) => inodeOf(`${folder}/${fd}`));
  return new Set(inodes.filter((inode) => inode !== ""));
}

function inodeOf(path: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1] ?? "";
  } catch {
    return ""; // It was the listing's own descriptor.
  }
}
