/** The three marks that fit into the mask of `--mark`. Pure. */

/** A masked fwmark: packets to divert carry `value`, the proxy's own `value ^ mask`. Both are non-zero. */
export type Mark = { readonly value: number; readonly mask: number };

/**
 * Of the proxy's packets to peers and clients outside; and in conntrack, of connections that are left alone. No packet of a
 * diverted connection has it: another table may write a packet's mark into conntrack, and back.
 */
export function ownMark({ value, mask }: Mark): number {
  return value ^ mask;
}

/**
 * Of the proxy's packets to the applications here, those that it has intercepted and those that it connects to: they carry
 * in clear what TLS has carried, and stay on `lo`.
 */
export function insideMark({ mask }: Mark): number {
  return mask;
}
