/** Legs that the proxy dials: from connect(2) until they may carry bytes. */
import * as native from "../native/native.ts";
import { legSocketOf, type Dialing, type Originating } from "../net/dial.ts";
import { describeFault, type Fault } from "../net/fault.ts";
import { Deadline } from "../runtime/deadline.ts";
import { HandshakeDeadline } from "./handshake-deadline.ts";
import type { Held } from "./held.ts";
import { Leg, type Readiness } from "./leg.ts";

/**
 * Makes a leg of the connection, and with `originating` originates TLS on it. Every failure arrives as the leg's end.
 * `held` is the sum that the leg's held bytes are added to.
 */
export function dial(dialing: Dialing, originating: Originating | null, held: Held): Leg {
  return new Leg(legSocketOf(dialing, originating), "setting-up", held);
}

export type DialLimits = { readonly connectMsMax: number; readonly handshakeMsMax: number };

/** The result for a leg, and in words what ended it. */
export type DialResult =
  | Extract<Readiness, { readonly kind: "ready" }>
  | (Extract<Readiness, { readonly kind: "closed" }> & { readonly detail: string });

/**
 * Waits until the leg may carry bytes. It is ended if it takes longer than `limits` allow, or if `waiting`, the leg
 * that it is made for, ends first.
 */
export async function untilReady(leg: Leg, waiting: Leg, limits: DialLimits): Promise<DialResult> {
  let resolved = false;
  void waiting.gone.then(() => {
    if (!resolved) leg.terminate("CANCELED");
  });
  const patience = new Patience(leg, limits);
  const readiness = await leg.ready;
  resolved = true;
  patience.clear();
  if (readiness.kind === "ready") return readiness;
  return { ...readiness, detail: patience.describe(readiness.fault) };
}

/**
 * The time for connect(2), then the time for the handshake. Bun does not report when the first is over; most legs are
 * ready before the first check.
 */
class Patience {
  readonly #leg: Leg;
  readonly #limits: DialLimits;
  #connectMs = 0;
  #deadline: Deadline | HandshakeDeadline;

  constructor(leg: Leg, limits: DialLimits) {
    this.#leg = leg;
    this.#limits = limits;
    this.#deadline = this.#wait(firstLookMsMax);
  }

  clear(): void {
    this.#deadline.clear();
  }

  describe(fault: Fault): string {
    const deadline = this.#deadline;
    return deadline instanceof HandshakeDeadline ? deadline.describe(fault) : describeFault(fault);
  }

  #look(): Deadline | HandshakeDeadline {
    const { handshakeMsMax } = this.#limits;
    if (!isConnecting(this.#leg)) return new HandshakeDeadline(this.#leg, handshakeMsMax, "client");
    return this.#wait(lookMsMax);
  }

  #wait(msMax: number): Deadline {
    const { connectMsMax } = this.#limits;
    const step = Math.min(msMax, connectMsMax - this.#connectMs);
    return new Deadline(step, () => {
      this.#connectMs += step;
      const late = this.#connectMs >= connectMsMax && isConnecting(this.#leg);
      if (late) this.#leg.terminate("ETIMEDOUT");
      else this.#deadline = this.#look();
    });
  }
}

function isConnecting(leg: Leg): boolean {
  const fd = leg.socket.fd;
  return fd < 0 || native.tcpState(fd) === "syn-sent";
}

/** How late it may be noticed that a connection is established. */
const firstLookMsMax = 100;
const lookMsMax = 500;
