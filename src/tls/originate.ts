/** Originates TLS to the peer that the application dialled. */
import type { TLSOptions } from "bun";

import type { Limits } from "../config.ts";
import type { PeerIdentity } from "../identity/certificate.ts";
import { addressKey, hostKey, sourceKey } from "../net/address.ts";
import { abandon, dialFrom, tryDial, type Dialing } from "../net/dial.ts";
import { describeFault, type Fault } from "../net/fault.ts";
import type { OriginalDestination } from "../net/original-destination.ts";
import type { Rotation } from "../net/ports.ts";
import { describeLateReset, lateResetMsMin } from "../net/hang.ts";
import type { Held } from "../relay/held.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { Leg } from "../relay/leg.ts";
import { dial, untilReady } from "../relay/dialed-leg.ts";
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
      /** Its port on the wire is outside the range given to applications. */
      readonly distinctPort: boolean;
    }
  | Failed;

export type Failed = {
  readonly kind: "failed";
  /** Null if no handshake took place. */
  readonly reason: HandshakeFailure | null;
  readonly detail: string;
  /** Of the TLS library or the kernel, "" for none. */
  readonly fault: Fault;
};

export type Originator = {
  /** Evaluated for every connection, because credentials are renewed. */
  readonly tls: () => TLSOptions;
  /** The same, with the additional ALPN protocols for this destination. */
  readonly tlsTo: (original: OriginalDestination) => TLSOptions;
  readonly socketOptions: SocketOptions;
  readonly limits: Limits;
  readonly gate: HandshakeGate;
  /** Servers whose handshakes are in progress. */
  readonly unverified: Unverified;
  readonly held: Held;
  readonly tickets: Tickets;
  /** Source ports for the wire. */
  readonly ports: Rotation;
  /** Whether to send the application's address to the peer. */
  readonly keepsSource: () => boolean;
  /** The expected peer at an address, evaluated when the peer has authenticated. */
  readonly expect: (original: OriginalDestination) => Expectation;
};

/**
 * Connects to the original destination over mutual TLS, in at most three attempts. With a session ticket a server may
 * fail that would not without (OpenSSL without a session id context), or resume with a certificate that it has since
 * replaced: then it is tried again without a ticket. A server that insists on its own ALPN protocol (Go's does)
 * refuses ours: then it is tried again without it.
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

/** True if the handshake failed. */
function isFailure(last: Originated): last is Failed {
  return last.kind === "failed" && last.reason !== null;
}

/** A refusal by us, or by an alert of the peer. A peer that resets may be overloaded, so it is not tried again. */
function isRefusal({ reason }: Failed): boolean {
  return reason !== "timeout" && reason !== "closed";
}

type Attempt = {
  /** Start of the first attempt. */
  readonly began: number;
  readonly tls: TLSOptions;
  /** Null: no session is resumed or stored. */
  readonly session: Session | null;
};

/**
 * The TCP connection starts at once; only the handshake waits for its turn. That wait, and a former attempt, count
 * toward its time. Given up when `downstream` ends. Every failure has a text for the log.
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
  const readiness = await untilReady(leg, downstream, limits);
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

/** A key for tables by destination. */
function placeOf(original: OriginalDestination): string {
  return `${addressKey(original)}%${original.scope}`;
}

/** Without a lease the handshake's whole time was spent in the queue. */
function giveUp(dialing: Dialing, lease: Lease | null): Failed {
  lease?.release();
  abandon(dialing);
  return failed(lease === null ? "GATE_TIMEOUT" : "CANCELED");
}

/** Additional text if a peer let a handshake hang until it sent a reset. `ms` includes the TCP connection. */
function lateReset(fault: Fault, original: OriginalDestination, ms: number): string {
  const isLate = failureOf(fault) === "closed" && ms >= lateResetMsMin;
  return isLate ? describeLateReset(original, ms) : "";
}

function failed(fault: Fault, detail = describeFault(fault)): Failed {
  return { kind: "failed", reason: failureOf(fault), detail, fault };
}
