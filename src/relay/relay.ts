/** Two legs of a connection: passes the bytes and the end of each to the other. */
import { Deadline } from "../runtime/deadline.ts";
import type { Leg } from "./leg.ts";

export class Relay {
  readonly #downstream: Leg;
  readonly #upstream: Leg;
  readonly #lingerMsMax: number;
  #linger: Deadline | null = null;

  /** Once both directions have ended, each socket must close within `lingerMsMax`. */
  constructor(downstream: Leg, upstream: Leg, lingerMsMax: number) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#lingerMsMax = lingerMsMax;
  }

  /** Starts to carry bytes, first those already received. If one leg is already closed, the other is ended. */
  begin(): void {
    this.#downstream.join(this);
    this.#upstream.join(this);
    if (this.#downstream.closed) this.#upstream.terminate("");
    if (this.#upstream.closed) this.#downstream.terminate("");
    this.#handOver(this.#downstream);
    this.#handOver(this.#upstream);
  }

  /** For the legs only, like those below. `from` is not read while any of its bytes wait for the other. */
  carry(from: Leg, chunk: Uint8Array): void {
    if (!this.#other(from).send(chunk)) from.throttle();
  }

  /** No bytes wait for `to` any more. */
  drained(to: Leg): void {
    this.#other(to).resume();
  }

  /** The peer of `from` has ended its direction: a half-close is passed on as a half-close. */
  peerEnded(from: Leg): void {
    this.#other(from).endWrite();
  }

  /** The end of our direction on `leg` is being sent. */
  endSent(leg: Leg): void {
    if (!this.#other(leg).hasSentEnd) return;
    this.#linger ??= new Deadline(this.#lingerMsMax, () => {
      leg.terminate("ETIMEDOUT");
      this.#other(leg).terminate("ETIMEDOUT");
    });
  }

  /** The socket of `leg` is closed: a cut is passed on as a cut, an end as an end. */
  closed(leg: Leg): void {
    const other = this.#other(leg);
    if (leg.ending === "cut") other.terminate("");
    else other.endWrite();
    if (other.closed) this.#linger?.clear();
  }

  #handOver(from: Leg): void {
    const to = this.#other(from);
    for (const chunk of from.takeEarly()) this.carry(from, chunk);
    if (from.hasPeerEnded) to.endWrite();
    if (to.heldBytes === 0) from.resume();
  }

  #other(leg: Leg): Leg {
    return leg === this.#downstream ? this.#upstream : this.#downstream;
  }
}
