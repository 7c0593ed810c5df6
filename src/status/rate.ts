/** A rate limit, expressed as the time that the next request must wait. Pure. */

/** The generic cell rate algorithm: `burst` at once, then one every 1 / `perSecond`. */
export class Rate {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  /** The time at which all admitted ones would have arrived at an even rate. */
  #expected = -Infinity;

  constructor(perSecond: number, burst: number) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = this.#intervalMs * (burst - 1);
  }

  /** Milliseconds that a request at `now` must wait. */
  waitMs(now: number): number {
    return Math.max(0, this.#expected - now - this.#toleranceMs);
  }

  /** Records an admitted request. */
  take(now: number): void {
    this.#expected = Math.max(this.#expected, now) + this.#intervalMs;
  }
}
