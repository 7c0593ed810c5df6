/** Connections in clear that the rules would divert: they are ended, because nothing of theirs may go on in clear. */
import { readdirSync, readlinkSync } from "node:fs";

import { destroySocket } from "../../netlink/diag.ts";
import { linkIndexOf, listLinks } from "../../netlink/route.ts";
import { protocol, isErrno, kernel as ours, type Kernel } from "../../netlink/socket.ts";
import { SystemCallError } from "../../native/errno.ts";
import type { Connections } from "../kernel/encode.ts";
import { keyOf, keysOf, readSockets, type Tuple } from "../kernel/open-before.ts";

export type CleartextReset = {
  readonly ended: number;
  /** What the kernel says where it does not end one: it has no CONFIG_INET_DIAG_DESTROY. */
  readonly refusal: string | null;
};

/**
 * Ends by RST those of this network namespace that `fits`, but for our own sockets and those that were open before the
 * rules (`kept`).
 */
export function resetCleartext(
  fits: () => (tuple: Tuple) => boolean,
  kept: Connections = new Map(),
  { kernel = ours, sockets = theirSockets }: Partial<Sight> = {},
): CleartextReset {
  const spared = keysOf(kept);
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
  /** Those that the kernel did not end, though they are there. */
  readonly refused: readonly Tuple[];
  readonly refusal: string | null;
};

/** Ends these by RST. One that has gone by itself is in neither list. */
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

/** The kernel finds a socket that is bound to an interface by that one's index only: inet_hashtables.h, INET_MATCH. */
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

/** Of all interfaces here. None where the kernel does not tell. */
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

/** Or why there is no list: without a free descriptor nothing can be listed, and that is no reason to end. */
function listed(sockets: Sight["sockets"]): readonly Tuple[] | string {
  try {
    return sockets();
  } catch (error) {
    if (error instanceof Error && "code" in error) return error.message;
    throw error;
  }
}

/** Connections that are not of the process `pid`, and have begun. */
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
    return ""; // It was the listing's own.
  }
}
