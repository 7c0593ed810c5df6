/** How many connections there may be, and whose. Pure. */

/** What there is now. */
export type PlaceCounts = {
  readonly live: number;
  readonly inbound: number;
  /** Inbound connections whose peer is not verified, plain text that was let in included. */
  readonly strangers: number;
  /** Of these, those that can make room: their handshakes are not over. */
  readonly unverified: number;
  /** Strangers of the same source address (IPv6: of its /64), and those of them that can make room. */
  readonly ofSource: number;
  readonly unverifiedOfSource: number;
};

export type Bounds = {
  readonly connectionsMax: number;
  /** Places that inbound connections never take. */
  readonly outboundReserve: number;
  readonly strangersMax: number;
};

/** Which bound has refused a connection. */
export type PlaceLimit = "connections" | "unverified" | "share";

/** `evict`: it is let in, and one that is not verified as yet goes for it, of all or of the same source. */
export type Admission =
  | { readonly kind: "admit" }
  | { readonly kind: "evict"; readonly whose: "any" | "source"; readonly limit: PlaceLimit }
  | { readonly kind: "refuse"; readonly limit: PlaceLimit };

/** An outbound connection takes any place. */
export function admitOutbound(
  { live }: Pick<PlaceCounts, "live">,
  { connectionsMax }: Bounds,
): Exclude<Admission, { readonly kind: "evict" }> {
  return live < connectionsMax ? admitted : { kind: "refuse", limit: "connections" };
}

/**
 * Who only connects keeps nobody else out: the one that has waited for longest makes room. A source that has many
 * connections makes room itself.
 */
export function admitInbound(places: PlaceCounts, bounds: Bounds): Admission {
  const free = freePlaces(places, bounds);
  if (free <= 0) return evictOr("connections", "any", places.unverified);
  if (places.strangers >= bounds.strangersMax)
    return evictOr("unverified", "any", places.unverified);
  if (places.ofSource >= shareOf(free))
    return evictOr("share", "source", places.unverifiedOfSource);
  return admitted;
}

/** For inbound connections. */
export function freePlaces(
  { live, inbound }: Pick<PlaceCounts, "live" | "inbound">,
  { connectionsMax, outboundReserve }: Bounds,
): number {
  return Math.min(connectionsMax - live, connectionsMax - outboundReserve - inbound);
}

/**
 * How many connections one source or one identity may have: eight times as many as places are free (Choudhury and Hahne,
 * "Dynamic queue length thresholds", 1998). So it binds above half of the places only; one that is alone has eight ninths
 * of them, and whoever comes next finds some.
 */
export function shareOf(free: number): number {
  return shareFactor * Math.max(0, free);
}

/**
 * The bound that holds: each connection has two descriptors, and so many more are kept for all else. 0 if the
 * descriptors do not do for one.
 */
export function connectionsBound(wanted: number, descriptors: number, reserve: number): number {
  return Math.max(0, Math.min(wanted, Math.floor((descriptors - reserve) / 2)));
}

function evictOr(limit: PlaceLimit, whose: "any" | "source", evictable: number): Admission {
  return evictable > 0 ? { kind: "evict", whose, limit } : { kind: "refuse", limit };
}

const admitted = { kind: "admit" } as const;
const shareFactor = 8;
