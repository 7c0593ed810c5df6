/** How many connections there may be. Pure. */

export type Places = {
  readonly live: number;
  /** Inbound connections whose peer is not verified as yet. */
  readonly strangers: number;
};

/** Strangers take half of the places at most: who only connects can keep nobody else out. */
export function admits(
  direction: "inbound" | "outbound",
  { live, strangers }: Places,
  connectionsMax: number,
): boolean {
  if (live >= connectionsMax) return false;
  return direction === "outbound" || strangers < Math.ceil(connectionsMax / 2);
}

/**
 * The bound that holds: each connection has two descriptors, and so many more are kept for all else. 0 if the
 * descriptors do not do for one.
 */
export function connectionsBound(wanted: number, descriptors: number, reserve: number): number {
  return Math.max(0, Math.min(wanted, Math.floor((descriptors - reserve) / 2)));
}
