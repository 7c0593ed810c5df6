/** The three marks within the mask of `--mark`. Pure. */

/** A masked fwmark: packets to divert carry `value`, the proxy's own `value ^ mask`. Both are non-zero. */
export type Mark = { readonly value: number; readonly mask: number };

/**
 * The mark of the proxy's packets to peers and clients outside; and in conntrack, of exempt connections. No packet of
 * a diverted connection has it, because another table may copy a packet's mark into conntrack, and back.
 */
export function ownMark({ value, mask }: Mark): number {
  return value ^ mask;
}

/**
 * The mark of the proxy's packets to local applications, on intercepted connections and on its own to them: they
 * carry in cleartext what TLS has carried, and stay on `lo`.
 */
export function insideMark({ mask }: Mark): number {
  return mask;
}
