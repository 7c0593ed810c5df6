/** TLS toward the peer that the application meant to reach. */
import type { TLSOptions } from "bun";

import type { Limits } from "../config.ts";
import type { PeerIdentity } from "../identity/certificate.ts";
import { addressKey, hostKey, sourceKey } from "../net/address.ts";
import { abandon, dialFrom, tryDial, type Dialing } from "../net/dial.ts";
import { describeFault } from "../net/fault.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Rotation } from "../net/ports.ts";
import { describeLateReset, lateResetMsMin } from "../net/hang.ts";
import type { Held } from "../net/held.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { Leg } from "../relay/leg.ts";
import { dial, settle } from "../relay/settle.ts";
import { failureOf, type HandshakeFailure } from "./failure.ts";
import type { HandshakeGate, Lease } from "./handshake-gate.ts";
import { judgePeer } from "./peer.ts";
import type { Session, Tickets } from "./tickets.ts";
import type { Unverified } from "./unverified.ts";
import type { Expectation } from "../policy/authorize.ts";

export type Originated =
  | {
      readonly kind: "established";
      readonly leg: Leg;
      readonly identity: PeerIdentity;
      readonly resumed: boolean;
      /** Its port on the wire is one that no application here is given. */
      readonly distinctPort: boolean;
    }
  | Failed;

export type Failed = {
  readonly kind: "failed";
  /** Null if it did not come to a handshake. */
  readonly reason: HandshakeFailure | null;
  readonly detail: string;
  /** Code of what the TLS library or the kernel says, "" for nothing. */
  readonly fault: string;
};

export type Originator = {
  /** Asked for every connection: credentials are renewed. */
  readonly tls: () => TLSOptions;
  /** The same, with what else is offered there by ALPN. */
  readonly tlsTo: (original: OriginalDestination) => TLSOptions;
  readonly socketOptions: SocketOptions;
  readonly limits: Limits;
  readonly gate: HandshakeGate;
  /** Servers whose handshakes are not over. */
  readonly unverified: Unverified;
  readonly held: Held;
  readonly tickets: Tickets;
  /** For the wire. */
  readonly ports: Rotation;
  /** Whether the peer is to see from where the application has connected. */
  readonly keepsSource: () => boolean;
  /** Who has to be found at an address, asked when the peer has shown who it is. */
  readonly expect: (original: OriginalDestination) => Expectation;
};

/**
 * Reaches the original destination over mutual TLS. With a session ticket servers can fail that would not without (OpenSSL
 * without a session id context), or be known by a certificate that they have replaced: they are asked again without. A
 * server that wants one of its own protocols by ALPN (Go's does) refuses ours: it is asked again without that.
 */
export async function originate(
  downstream: Intercepted,
  originator: Originator,
): Promise<Originated> {
  const began = performance.now();
  const { original } = downstream;
  const session = originator.tickets.session(placeOf(original), originator.tls(), began);
  const tls = originator.tlsTo(original);
  let last = await attempt(downstream, originator, { began, tls, session });
  if (session.taken && isFailure(last)) {
    session.abandon();
    if (isRefusal(last)) last = await attempt(downstream, originator, { began, tls, session });
  }
  if (last.kind !== "failed" || last.fault !== "TLSV1_ALERT_NO_APPLICATION_PROTOCOL") return last;
  const { ALPNProtocols: _, ...unnamed } = tls;
  return await attempt(downstream, originator, { began, tls: unnamed, session: null });
}

/** Of the handshake. */
function isFailure(last: Originated): last is Failed {
  return last.kind === "failed" && last.reason !== null;
}

/** Somebody has said no, the peer by an alert or we. One that resets us may have too much to do: it is not asked twice. */
function isRefusal({ reason }: Failed): boolean {
  return reason !== "timeout" && reason !== "closed";
}

type Attempt = {
  /** The first one. */
  readonly began: number;
  readonly tls: TLSOptions;
  /** Null: nothing is resumed, nor can be later. */
  readonly session: Session | null;
};

/**
 * The TCP connection is begun at once; only the handshake waits for its turn, which counts to its time, as an attempt
 * before does. Given up when `downstream` goes. Every failure has words for the log.
 */
async function attempt(
  { original, peer, leg: downstream }: Intercepted,
  originator: Originator,
  { began, tls, session }: Attempt,
): Promise<Originated> {
  const left = (): number =>
    Math.max(1, originator.limits.handshakeMsMax - (performance.now() - began));
  const { dialing, distinctPort } = originator.keepsSource()
    ? dialFrom(peer, original, originator)
    : {
        dialing: tryDial(original, originator.socketOptions, { kind: "any" }),
        distinctPort: false,
      };
  if (typeof dialing === "string") return failed(dialing);

  const lease = await originator.gate.enter(placeOf(original), left());
  if (lease === null || downstream.closed) return giveUp(dialing, lease);
  const limits = { ...originator.limits, handshakeMsMax: left() };
  const shaking = performance.now();
  const leg = dial(dialing, { tls, ticket: session?.take() ?? null }, originator.held);
  const visit = originator.unverified.enter(leg, {
    source: sourceKey(original),
    host: hostKey(original),
  });
  const readiness = await settle(leg, downstream, limits);
  originator.unverified.leave(visit);
  lease.release();
  if (readiness.kind === "closed") {
    const late = lateReset(readiness.fault, original, performance.now() - shaking);
    return failed(readiness.fault, readiness.detail + late);
  }

  const verdict = judgePeer(
    leg.socket,
    "server",
    readiness.handshakeError,
    originator.expect(original),
  );
  if (verdict.kind === "accept") {
    leg.socket.keepTicket = session?.keep ?? null;
    const { identity } = verdict;
    return { kind: "established", leg, identity, resumed: leg.socket.isResumed, distinctPort };
  }
  leg.terminate("");
  return { ...verdict, kind: "failed", fault: readiness.handshakeError ?? "" };
}

/** For tables by destination. */
function placeOf(original: OriginalDestination): string {
  return `${addressKey(original)}%${original.scope}`;
}

/** Without a lease the handshake's whole time was spent in the queue. */
function giveUp(dialing: Dialing, lease: Lease | null): Failed {
  lease?.release();
  abandon(dialing);
  return failed(lease === null ? "GATE_TIMEOUT" : "CANCELED");
}

/** More words for a peer that let a handshake hang until it reset. `ms` includes the TCP connection. */
function lateReset(fault: string, original: OriginalDestination, ms: number): string {
  const isLate = failureOf(fault) === "closed" && ms >= lateResetMsMin;
  return isLate ? describeLateReset(original, ms) : "";
}

function failed(fault: string, detail = describeFault(fault)): Failed {
  return { kind: "failed", reason: failureOf(fault), detail, fault };
}
