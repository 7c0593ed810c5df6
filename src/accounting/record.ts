/** One connection's facts, opened once and closed once. */
import type { PeerIdentity } from "../identity/certificate.ts";
import type { SocketAddress } from "../net/address.ts";
import { describeFault } from "../net/fault.ts";
import type { Intercepted } from "../net/listener.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Stream } from "../net/stream.ts";

export type Direction = "inbound" | "outbound";

/** How a connection came out. Reasons and details are words for the operator. */
export type Outcome =
  | { readonly kind: "unsettled" }
  | { readonly kind: "denied"; readonly reason: string }
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "unreached"; readonly detail: string }
  | { readonly kind: "relayed"; readonly upstream: Stream };

export class ConnectionRecord {
  readonly direction: Direction;
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
  /** Milliseconds, monotonic. */
  readonly openedAt: number;
  readonly downstream: Stream;
  /** Verified, or null as long as nobody was. */
  identity: PeerIdentity | null = null;
  outcome: Outcome = { kind: "unsettled" };

  constructor(direction: Direction, intercepted: Intercepted, now: number) {
    this.direction = direction;
    this.peer = intercepted.peer;
    this.original = intercepted.original;
    this.downstream = intercepted.stream;
    this.openedAt = now;
  }

  /** Policy said no. */
  deny(reason: string): void {
    this.outcome = { kind: "denied", reason };
  }

  /** The downstream peer could not show who it is. */
  refuse(detail: string): void {
    this.outcome = { kind: "refused", detail };
  }

  /** The original destination could not be reached, or is not who it should be. */
  miss(detail: string): void {
    this.outcome = { kind: "unreached", detail };
  }

  relay(upstream: Stream): void {
    this.outcome = { kind: "relayed", upstream };
  }
}

/** "clean", or which leg was cut by what. A TLS peer that was cut by a bare FIN counts as clean: Bun does not say. */
export function endingOf(downstream: Stream, upstream: Stream): string {
  for (const [name, leg] of [
    ["downstream", downstream],
    ["upstream", upstream],
  ] as const) {
    if (leg.ending === "cut" && leg.fault !== "") return `${name}: ${describeFault(leg.fault)}`;
  }
  return downstream.ending === "cut" || upstream.ending === "cut" ? "cut" : "clean";
}
