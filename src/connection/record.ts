/** The facts about one connection, opened once and closed once. */
import type { PeerIdentity } from "../identity/certificate.ts";
import { sourceKey, type SocketAddress } from "../net/address.ts";
import { describeFault, type Fault } from "../net/fault.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Leg } from "../relay/leg.ts";
import type { PlainMode } from "../policy/policy.ts";
import type { Screening } from "../detect/screening.ts";
import type { Candidate } from "../original-source/candidates.ts";
import type { Seen } from "../original-source/connect.ts";
import type { HandshakeFailure } from "../tls/failure.ts";

export type Direction = "inbound" | "outbound";

/** The outcome of a connection. Reasons and details are words for the operator. */
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

/** A connection to the application: original-source/connect.ts. */
export type Connected = { readonly leg: Leg; readonly seen: Seen };

/** An authenticated peer, and whether its handshake resumed an earlier session. */
export type Authenticated = { readonly identity: PeerIdentity; readonly resumed: boolean };

export class ConnectionRecord {
  readonly direction: Direction;
  readonly peer: SocketAddress;
  readonly original: OriginalDestination;
  /** Milliseconds, monotonic. */
  readonly openedAt: number;
  readonly downstream: Leg;
  /** The source address's key, for shares. */
  readonly source: string;
  /** The verified identity, or null while there is none. */
  identity: PeerIdentity | null = null;
  /** The mode of a port that has admitted cleartext, null for TLS. */
  plain: PlainMode | null = null;
  /** The node's cleartext probe on a declared port. */
  probe: Screening | null = null;
  /** When the first of the certificates that it was made with expires, in milliseconds since 1970. */
  notAfter = Infinity;
  /** From the start of the connection until its peer was verified; null until then. */
  handshakeMs: number | null = null;
  /** Its handshake has resumed an earlier session. */
  resumed = false;
  outcome: ConnectionOutcome = { kind: "unsettled" };
  /** The foreign address and port by which the local application sees the client; null: the pod's own. */
  as: SocketAddress | null = null;
  /** The application sees an alias as its own address: net/alias.ts. */
  atAlias = false;

  /** When the certificate that was ours at the start expires: the handshake used that one, or a newer one. */
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

  /** All bytes carried in either direction: changes with any activity. */
  get bytes(): number {
    const upstream = this.outcome.kind === "relayed" ? this.outcome.upstream.bytesRead : 0;
    return this.downstream.bytesRead + this.downstream.bytesWritten + upstream;
  }

  /** What both legs buffer for stopped readers. */
  get countedBytes(): number {
    const upstream = this.outcome.kind === "relayed" ? this.outcome.upstream.countedBytes : 0;
    return this.downstream.countedBytes + upstream;
  }

  /** The owner for shares. "" for an identity that was not shown. */
  get holder(): string {
    const { identity } = this;
    return identity === null ? "" : (identity.spiffeId ?? identity.fingerprint);
  }

  /** The policy has denied it. */
  deny(reason: string): void {
    this.outcome = { kind: "denied", reason };
  }

  /** Inbound without an authenticated peer, including admitted cleartext. */
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

  /** The downstream peer could not authenticate. */
  refuse({ reason, detail }: Failure): void {
    this.outcome = { kind: "refused", failure: reason, detail };
  }

  /** The original destination was unreachable, or is not the expected peer. */
  unreachable({ reason, detail }: Failure): void {
    this.outcome = { kind: "unreached", failure: reason, detail };
  }

  /** The next attempt to connect to the application: by these addresses. */
  attempt({ origin, to }: Candidate): void {
    this.as = origin.kind === "client" ? origin.address : null;
    this.atAlias = to !== this.original;
  }

  relay(upstream: Leg): void {
    this.outcome = { kind: "relayed", upstream };
  }
}

/** `reason` for counting, null if no handshake failed; `detail` as text. */
export type Failure = { readonly reason: HandshakeFailure | null; readonly detail: string };

/** "clean", or which leg was cut by what. A TLS peer cut by a bare FIN counts as clean: Bun does not report it. */
export function endingOf({ downstream, probe }: ConnectionRecord, upstream: Leg): string {
  for (const [name, leg] of [
    ["downstream", downstream],
    ["upstream", upstream],
  ] as const) {
    if (leg.ending === "cut" && leg.fault !== "") return `${name}: ${faultText(leg.fault, probe)}`;
  }
  return downstream.ending === "cut" || upstream.ending === "cut" ? "cut" : "clean";
}

function faultText(fault: Fault, probe: Screening | null): string {
  const refusal = fault === "PROBE_REFUSED" ? probe?.refusal : null;
  return refusal?.detail ?? describeFault(fault);
}
