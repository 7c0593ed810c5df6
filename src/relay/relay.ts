/** Two legs of a connection: bytes of either go to the other, and so do their ends. */
import { Deadline } from "../runtime/deadline.ts";
import type { Leg } from "./leg.ts";

export class Relay {
  readonly #downstream: Leg;
  readonly #upstream: Leg;
  readonly #lingerMsMax: number;
  #linger: Deadline | null = null;

  /** Once both directions have ended, each socket has `lingerMsMax` to be gone. */
  constructor(downstream: Leg, upstream: Leg, lingerMsMax: number) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#lingerMsMax = lingerMsMax;
  }

  /** From now on bytes are carried, first those that came before. Where one leg is gone already the other is ended. */
  begin(): void {
    this.#downstream.join(this);
    this.#upstream.join(this);
    if (this.#downstream.closed) this.#upstream.terminate("");
    if (this.#upstream.closed) this.#downstream.terminate("");
    this.#handOver(this.#downstream);
    this.#handOver(this.#upstream);
  }

  /** For the legs only, as are those below. `from` is read no more while any of its bytes wait for the other. */
  carry(from: Leg, chunk: Uint8Array): void {
    if (!this.#other(from).send(chunk)) from.throttle();
  }

  /** Nothing waits for `to` any more. */
  drained(to: Leg): void {
    this.#other(to).resume();
  }

  /** The peer of `from` has ended its direction: a half-close goes on as a half-close. */
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

  /** The socket of `leg` is gone: a cut goes on as a cut, an end as an end. */
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
