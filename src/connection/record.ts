/** One connection's facts, opened once and closed once. */
import type { PeerIdentity } from "../identity/certificate.ts";
import { sourceKey, type SocketAddress } from "../net/address.ts";
import { describeFault } from "../net/fault.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Leg } from "../relay/leg.ts";
import type { PlainMode } from "../policy/policy.ts";
import type { Screening } from "../detect/screening.ts";
import type { Seen } from "../original-source/connect.ts";
import type { HandshakeFailure } from "../tls/failure.ts";

export type Direction = "inbound" | "outbound";

/** How a connection came out. Reasons and details are words for the operator. */
export type ConnectionOutcome =
  | { readonly kind: "unsettled" }
  | { readonly kind: "denied"; readonly reason: string }
  | { readonly kind: "refused"; readonly failure: HandshakeFailure | null; readonly detail: string }
  | {
      readonly kind: "unreached";
      readonly failure: HandshakeFailure | null;
      readonly detail: string;
    }
  | { readonly kind: "relayed"; readonly upstream: Leg };

/** An application that was reached: original-source/connect.ts. */
export type Connected = { readonly leg: Leg; readonly seen: Seen };

/** A peer that was verified, in a handshake that has resumed a session of before or not. */
export type Authenticated = { readonly identity: PeerIdentity; readonly resumed: boolean };

export class ConnectionRecord {
  readonly direction: Direction;
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
  /** Milliseconds, monotonic. */
  readonly openedAt: number;
  readonly downstream: Leg;
  /** Of the address that has connected, for shares. */
  readonly source: string;
  /** Verified, or null as long as nobody was. */
  identity: PeerIdentity | null = null;
  /** The mode of a port that has let plain text in, null for TLS. */
  plain: PlainMode | null = null;
  /** What the node has asked in clear on a declared port. */
  probe: Screening | null = null;
  /** When the first of the certificates that it was made with expires, milliseconds since 1970. */
  notAfter = Infinity;
  /** From the connection's beginning until its peer was verified; null as long as nobody was. */
  handshakeMs: number | null = null;
  /** Its handshake has resumed a session of before. */
  resumed = false;
  outcome: ConnectionOutcome = { kind: "unsettled" };
  /** Under which address and port, that are not ours, the application here sees the client; null: as us. */
  as: SocketAddress | null = null;
  /** The application sees another address than its own: net/alias.ts. */
  atAlias = false;

  /** When the certificate expires that was ours as it began: it is made with that one, or with a newer one. */
  readonly #ownNotAfter: number;

  constructor(
    direction: Direction,
    intercepted: Intercepted,
    { now, ownNotAfter }: { readonly now: number; readonly ownNotAfter: number },
  ) {
    this.#ownNotAfter = ownNotAfter;
    this.direction = direction;
    this.peer = intercepted.peer;
    this.original = intercepted.original;
    this.downstream = intercepted.leg;
    this.source = sourceKey(intercepted.peer);
    this.openedAt = now;
  }

  /** All that was carried, either way: it changes when something is. */
  get bytes(): number {
    const upstream = this.outcome.kind === "relayed" ? this.outcome.upstream.bytesRead : 0;
    return this.downstream.bytesRead + this.downstream.bytesWritten + upstream;
  }

  /** What both legs hold for readers that have stopped. */
  get countedBytes(): number {
    const upstream = this.outcome.kind === "relayed" ? this.outcome.upstream.countedBytes : 0;
    return this.downstream.countedBytes + upstream;
  }

  /** For shares: whom it belongs to. "" for an identity that was not shown. */
  get holder(): string {
    const { identity } = this;
    return identity === null ? "" : (identity.spiffeId ?? identity.fingerprint);
  }

  /** Policy said no. */
  deny(reason: string): void {
    this.outcome = { kind: "denied", reason };
  }

  /** Inbound, and nobody has shown who it is: plain text that was let in is a stranger's, too. */
  get isStranger(): boolean {
    return this.direction === "inbound" && this.identity === null;
  }

  /** The peer is verified; `now` on the record's clock. */
  authenticated({ identity, resumed }: Authenticated, now: number): void {
    this.identity = identity;
    this.notAfter = Math.min(identity.notAfter, this.#ownNotAfter);
    this.resumed = resumed;
    this.handshakeMs = now - this.openedAt;
  }

  /** The downstream peer could not show who it is. */
  refuse({ reason, detail }: Failure): void {
    this.outcome = { kind: "refused", failure: reason, detail };
  }

  /** The original destination could not be reached, or is not who it should be. */
  unreachable({ reason, detail }: Failure): void {
    this.outcome = { kind: "unreached", failure: reason, detail };
  }

  relay(upstream: Leg): void {
    this.outcome = { kind: "relayed", upstream };
  }
}

/** `reason` for counting, null where no handshake failed; `detail` for reading. */
export type Failure = { readonly reason: HandshakeFailure | null; readonly detail: string };

/** "clean", or which leg was cut by what. A TLS peer that was cut by a bare FIN counts as clean: Bun does not say. */
export function endingOf(downstream: Leg, upstream: Leg): string {
  for (const [name, leg] of [
    ["downstream", downstream],
    ["upstream", upstream],
  ] as const) {
    if (leg.ending === "cut" && leg.fault !== "") return `${name}: ${describeFault(leg.fault)}`;
  }
  return downstream.ending === "cut" || upstream.ending === "cut" ? "cut" : "clean";
}
