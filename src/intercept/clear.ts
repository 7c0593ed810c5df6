/** Connections in clear that the rules would divert: they are ended, because nothing of theirs may go on in clear. */
import { readdirSync, readlinkSync } from "node:fs";

import { destroySocket } from "../netlink/diag.ts";
import { family, isErrno, kernel as ours, type Kernel } from "../netlink/socket.ts";
import { concat } from "../netlink/wire.ts";
import { SystemCallError } from "../native/errno.ts";
import type { Connections } from "./lower.ts";
import { elementOf, readSockets, type Tuple } from "./open-before.ts";

export type EndedClear = {
  readonly ended: number;
  /** What the kernel says where it does not end one: it has no CONFIG_INET_DIAG_DESTROY. */
  readonly refusal: string | null;
};

/**
 * Ends by RST those of this network namespace that `fits`, but for our own sockets and those that were open before the
 * rules (`kept`).
 */
export function endClear(
  fits: () => (tuple: Tuple) => boolean,
  kept: Connections = new Map(),
  { kernel, sockets }: Sight = { kernel: ours, sockets: theirSockets },
): EndedClear {
  let ended = 0;
  let refusal: string | null = null;
  const spared = new Set([...kept.values()].flat().map((fields) => concat(...fields).toHex()));
  const found = listed(() => {
    const wanted = fits();
    return sockets().filter((one) => !spared.has(keyOf(one)) && wanted(one));
  });
  if (typeof found === "string") return { ended, refusal: found };
  for (const tuple of found) {
    try {
      using socket = kernel(family.diag);
      socket.send([destroySocket(tuple)]);
      ended += 1;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      // ENOENT: it has gone by itself.
      if (!isErrno(error, "ENOENT")) refusal ??= error.message;
    }
  }
  return { ended, refusal };
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

/** Connections that are not ours, and have begun. */
function theirSockets(): readonly Tuple[] {
  const own = ownSockets();
  return readSockets().filter(({ isOpening, inode }) => !isOpening && !own.has(inode));
}

/** As the kernel keeps it in a set: fields of a concatenation begin at multiples of four. */
function keyOf(tuple: Tuple): string {
  return elementOf(tuple)
    .map((field) => field.toHex().padEnd(Math.ceil(field.length / 4) * 8, "0"))
    .join("");
}

/** Inodes of the sockets that this process holds: proc(5), fd. */
function ownSockets(): ReadonlySet<string> {
  const inodes = readdirSync("/proc/self/fd").map((fd) => inodeOf(`/proc/self/fd/${fd}`));
  return new Set(inodes.filter((inode) => inode !== ""));
}

function inodeOf(path: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(path))?.[1] ?? "";
  } catch {
    return ""; // It was the listing's own.
  }
}
