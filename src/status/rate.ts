/** How many may begin in a second, told as the time that the next one has to wait. Pure. */

/** The generic cell rate algorithm: `burst` at once, then one every 1 / `perSecond`. */
export class Rate {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  /** When all that were let in would have come, had they come evenly. */
  #expected = -Infinity;

  constructor(perSecond: number, burst: number) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = this.#intervalMs * (burst - 1);
  }

  /** Milliseconds that one of now has to wait. */
  waitMs(now: number): number {
    return Math.max(0, this.#expected - now - this.#toleranceMs);
  }

  /** One has been let in. */
  take(now: number): void {
    this.#expected = Math.max(this.#expected, now) + this.#intervalMs;
  }
}
