/** The three marks that fit into the mask of `--mark`. Pure. */
import type { Mark } from "../config.ts";

/** Of the proxy's packets to peers, and of what it answers to the applications that it has intercepted. */
export function ownMark({ value, mask }: Mark): number {
  return value ^ mask;
}

/** Of the proxy's packets to the applications here: they carry in clear what TLS has carried, and stay on `lo`. */
export function insideMark({ mask }: Mark): number {
  return mask;
}
