/** The way to the application here, as the client where that can be. */
import { Ticker } from "../runtime/deadline.ts";
import { addressKey, portedAs, type SocketAddress } from "../net/address.ts";
import { tryDial } from "../net/dial.ts";
import { describeFault } from "../net/fault.ts";
import type { Held } from "../net/held.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { Leg } from "../relay/leg.ts";
import { dial, settle, type DialLimits } from "../relay/settle.ts";
import type { Origin } from "../net/origin.ts";
import { firstUnprivilegedPort } from "../net/ports.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import type { Candidate, Kept, SourceReason } from "./candidates.ts";

/** As whom the application sees the client, and why not better. */
export type Seen = { readonly kept: Kept; readonly reason: SourceReason };

export type ApplicationConnection =
  | {
      readonly kind: "connected";
      readonly leg: Leg;
      readonly seen: Seen;
    }
  /** `fault`: the code of what failed. */
  | { readonly kind: "failed"; readonly detail: string; readonly fault: string };

export type ConnectOptions = {
  readonly socketOptions: SocketOptions;
  readonly limits: DialLimits;
  readonly held: Held;
  /** Whose name the application has not answered. */
  readonly silent: SilentClients;
  /** Hears of a client's port that may not be bound here. */
  readonly reserved: (client: SocketAddress) => void;
};

/** Under which name the application is being reached, from before the kernel knows of it. */
export type ShownAs = {
  /** An address and port that are not ours, or null. */
  as: SocketAddress | null;
  /** What the application answers comes to us whoever that is: net/alias.ts. */
  atAlias: boolean;
};

/**
 * A plain connection to where `downstream` was going. What fails because of the client's name is tried without it; what
 * fails because of the application has words for the log.
 */
export async function connectApplication(
  downstream: Intercepted,
  candidates: Iterable<Candidate>,
  { named, ...options }: ConnectOptions & { readonly named: ShownAs },
): Promise<ApplicationConnection> {
  const { original, peer } = downstream;
  let why: SourceReason | null = null;
  let failed: ApplicationConnection = { kind: "failed", detail: "", fault: "" };
  for (const candidate of candidates) {
    // Another name would have to wait as long, or be refused as well.
    if ((why === "no-answer" || why === "translated") && candidate.kept !== "none") continue;
    named.as = candidate.origin.kind === "client" ? candidate.origin.address : null;
    named.atAlias = candidate.to !== original;
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

/** Where all that was wanted is kept, nobody asks why something else did not work before. */
function seenBy({ kept, reason }: Candidate, why: SourceReason | null): Seen {
  return { kept, reason: kept === "ip-port" ? reason : (why ?? reason) };
}

/** The connection, or the name of what failed. */
async function connect(
  downstream: Intercepted,
  { origin, to, kept }: Candidate,
  { socketOptions, limits, held }: ConnectOptions,
): Promise<Leg | string> {
  const dialing = tryDial(to, socketOptions, origin);
  if (typeof dialing === "string") return dialing;
  const leg = dial(dialing, null, held);
  const asClientMsMax = Math.min(answerMsMax, limits.connectMsMax / 2);
  const connectMsMax = kept === "none" ? limits.connectMsMax : asClientMsMax;
  const readiness = await settle(leg, downstream.leg, { ...limits, connectMsMax });
  if (readiness.kind === "closed") return readiness.fault;
  return leg;
}

/**
 * What of the way is to blame; null: nothing is. A refusal at its own address is the application's, or of the rules where
 * others translate it (intercept/rules/translation.ts): then it is reached as we are.
 */
function reasonOf(
  fault: string,
  { kept, to, origin }: Candidate,
  original: SocketAddress,
): SourceReason | null {
  if (kept === "none" || fault === "CANCELED") return null;
  if (fault === "ECONNREFUSED") return to === original ? "translated" : "one-address";
  if (fault === "ETIMEDOUT") return "no-answer";
  if (fault === "EACCES" && isReserved(origin)) return "reserved-port";
  return fault === "EADDRINUSE" || fault === "EADDRNOTAVAIL" ? "same-tuple" : "kernel";
}

/** EACCES of bind(2) is the port's; that of connect(2) a route's. */
function isReserved(origin: Origin): boolean {
  return origin.kind === "client" && origin.address.port < firstUnprivilegedPort();
}

/**
 * Something beside us may keep the application's answers from coming back: rules of others, a source check. One
 * connection of a client's waits for it, those that follow for a while do not. Only the client's own suffer from it.
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

/** Whatever the client's port. */
function keyOf(client: SocketAddress, original: SocketAddress): string {
  return `${addressKey(portedAs(client, 0))} ${addressKey(original)}`;
}

const forgetMs = 10_000;
const knownMax = 4096;
/** Within the pod an answer takes microseconds. A full queue of the application's is asked again after a second. */
const answerMsMax = 2500;
