/** Limits the number of connections, in total and per owner. Pure. */

/** The current counts. */
export type PlaceCounts = {
  readonly live: number;
  readonly inbound: number;
  /** Inbound connections whose peer is not verified, including admitted cleartext. */
  readonly strangers: number;
  /** Those of them that can make room: their handshakes are in progress. */
  readonly unverified: number;
  /** Unverified connections of the same source address (IPv6: of its /64), and those of them that can make room. */
  readonly ofSource: number;
  readonly unverifiedOfSource: number;
};

export type Bounds = {
  readonly connectionsMax: number;
  /** Places that inbound connections never take. */
  readonly outboundReserve: number;
  readonly strangersMax: number;
};

/** The limit that has refused a connection. */
export type PlaceLimit = "connections" | "unverified" | "share";

/** `evict`: it is admitted, and an unverified one is closed for it, of all sources or of the same one. */
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
 * A client that only connects keeps no other out: the one that has waited longest makes room. A source with many
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
 * The limit for one source or one identity: eight times the number of free places (Choudhury and Hahne, "Dynamic
 * queue length thresholds", 1998). So it takes effect only above half of the places; a single one has eight ninths of
 * them, and the next one still finds some.
 */
export function shareOf(free: number): number {
  return shareFactor * Math.max(0, free);
}

/**
 * The effective limit: each connection has two descriptors, and `reserve` more are kept for everything else. 0 if the
 * descriptors are not enough for one.
 */
export function connectionsBound(wanted: number, descriptors: number, reserve: number): number {
  return Math.max(0, Math.min(wanted, Math.floor((descriptors - reserve) / 2)));
}

function evictOr(limit: PlaceLimit, whose: "any" | "source", evictable: number): Admission {
  return evictable > 0 ? { kind: "evict", whose, limit } : { kind: "refuse", limit };
}

const admitted = { kind: "admit" } as const;
const shareFactor = 8;
