/** Connects to the local application, presenting the client's address if possible. */
import { Ticker } from "../runtime/deadline.ts";
import { addressKey, portedAs, type SocketAddress } from "../net/address.ts";
import { tryDial } from "../net/dial.ts";
import { describeFault, type Fault } from "../net/fault.ts";
import type { Held } from "../relay/held.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { Leg } from "../relay/leg.ts";
import { dial, untilReady, type DialLimits } from "../relay/dialed-leg.ts";
import type { Origin } from "../net/origin.ts";
import { firstUnprivilegedPort } from "../net/ports.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import type { Candidate, Kept, SourceReason } from "./candidates.ts";

/** The client's address as the application sees it, and why it is not better. */
export type Seen = { readonly kept: Kept; readonly reason: SourceReason };

export type ApplicationConnection =
  | {
      readonly kind: "connected";
      readonly leg: Leg;
      readonly seen: Seen;
    }
  /** `fault`: the error code of the failure. */
  | { readonly kind: "failed"; readonly detail: string; readonly fault: Fault };

export type ConnectOptions = {
  readonly socketOptions: SocketOptions;
  readonly limits: DialLimits;
  readonly held: Held;
  /** Clients whose address the application has not answered. */
  readonly silent: SilentClients;
  /** Called for a client's port that may not be bound here. */
  readonly reserved: (client: SocketAddress) => void;
};

/**
 * Makes a plain connection to the destination of `downstream`. If it fails because of the client's address, it is
 * tried without it; other failures have a text for the log. `trying` is called before the kernel knows of an attempt.
 */
export async function connectApplication(
  downstream: Intercepted,
  candidates: Iterable<Candidate>,
  { trying, ...options }: ConnectOptions & { readonly trying: (candidate: Candidate) => void },
): Promise<ApplicationConnection> {
  const { original, peer } = downstream;
  let why: SourceReason | null = null;
  let failed: ApplicationConnection = { kind: "failed", detail: "", fault: "" };
  for (const candidate of candidates) {
    // Another address would have to wait as long, or be refused too.
    if ((why === "no-answer" || why === "translated") && candidate.kept !== "none") continue;
    trying(candidate);
    // oxlint-disable-next-line no-await-in-loop -- the next one only where this one fails
    const dialed = await connect(downstream, candidate, options);
    if (typeof dialed !== "string") {
      if (why === "no-answer") options.silent.add(peer, original);
      return { leg: dialed, kind: "connected", seen: seenBy(candidate, why) };
    }
    failed = { kind: "failed", detail: describeFault(dialed), fault: dialed };
    const reason = reasonOf(dialed, candidate, original);
    if (reason === "reserved-port" && candidate.origin.kind === "client")
      options.reserved(candidate.origin.address);
    if (reason === null || downstream.leg.closed) return failed;
    why = reason === "no-answer" ? reason : (why ?? reason);
  }
  return failed;
}

/** If everything requested is preserved, the reason for earlier failures does not matter. */
function seenBy({ kept, reason }: Candidate, why: SourceReason | null): Seen {
  return { kept, reason: kept === "ip-port" ? reason : (why ?? reason) };
}

/** The connection, or the code of the failure. */
async function connect(
  downstream: Intercepted,
  { origin, to, kept }: Candidate,
  { socketOptions, limits, held }: ConnectOptions,
): Promise<Leg | Fault> {
  const dialing = tryDial(to, socketOptions, origin);
  if (typeof dialing === "string") return dialing;
  const leg = dial(dialing, null, held);
  const asClientMsMax = Math.min(answerMsMax, limits.connectMsMax / 2);
  const connectMsMax = kept === "none" ? limits.connectMsMax : asClientMsMax;
  const readiness = await untilReady(leg, downstream.leg, { ...limits, connectMsMax });
  if (readiness.kind === "closed") return readiness.fault;
  return leg;
}

/**
 * The reason if the client's address is to blame, else null. A refusal at the application's own address comes from
 * it, or from address translation by others (intercept/rules/translation.ts): then the connection is made with our
 * own address.
 */
function reasonOf(
  fault: Fault,
  { kept, to, origin }: Candidate,
  original: SocketAddress,
): SourceReason | null {
  if (kept === "none" || fault === "CANCELED") return null;
  if (fault === "ECONNREFUSED") return to === original ? "translated" : "one-address";
  if (fault === "ETIMEDOUT") return "no-answer";
  if (fault === "EACCES" && isReserved(origin)) return "reserved-port";
  return fault === "EADDRINUSE" || fault === "EADDRNOTAVAIL" ? "same-tuple" : "kernel";
}

/** EACCES from bind(2) concerns the port; from connect(2) a route. */
function isReserved(origin: Origin): boolean {
  return origin.kind === "client" && origin.address.port < firstUnprivilegedPort();
}

/**
 * Other rules or a source check may keep the application's answers from returning. One connection of a client waits
 * for that, the following ones for a while do not. Only that client is affected.
 */
export class SilentClients {
  readonly #known = new Set<string>();
  readonly #ticker = new Ticker(forgetMs, () => {
    this.#known.clear();
  });

  has(client: SocketAddress, original: SocketAddress): boolean {
    return this.#known.has(keyOf(client, original));
  }

  add(client: SocketAddress, original: SocketAddress): void {
    if (this.#known.size < knownMax) this.#known.add(keyOf(client, original));
  }

  stop(): void {
    this.#ticker.stop();
  }
}

/** The same for all ports of the client. */
function keyOf(client: SocketAddress, original: SocketAddress): string {
  return `${addressKey(portedAs(client, 0))} ${addressKey(original)}`;
}

const forgetMs = 10_000;
const knownMax = 4096;
/**
 * Within the pod an answer takes microseconds. If the application's queue is full, the SYN is repeated after a
 * second.
 */
const answerMsMax = 2500;
