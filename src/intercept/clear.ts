/** Connections in clear that a new policy would divert: they are ended, because nothing of theirs may go on in clear. */
import { destroySocket } from "../netlink/diag.ts";
import { family, isErrno, kernel as ours, type Kernel } from "../netlink/socket.ts";
import { SystemCallError } from "../native/errno.ts";
import { readSockets, type Tuple } from "./open-before.ts";

export type EndedClear = {
  readonly ended: number;
  /** What the kernel says where it does not end one: it has no CONFIG_INET_DIAG_DESTROY. */
  readonly refusal: string | null;
};

/** Ends by RST those of this network namespace that `fits`. Throws SystemCallError where nothing can be asked at all. */
export function endClear(fits: (tuple: Tuple) => boolean, kernel: Kernel = ours): EndedClear {
  let ended = 0;
  let refusal: string | null = null;
  for (const tuple of readSockets().filter(fits)) {
    using socket = kernel(family.diag);
    try {
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
