/** The only timers: every wait of the proxy ends here. */

/** Calls `late` once after `milliseconds` unless cleared first. Keeps the process alive no longer. */
export class Deadline {
  #timer: ReturnType<typeof setTimeout> | null;

  constructor(milliseconds: number, late: () => void) {
    this.#timer = setTimeout(late, milliseconds);
    this.#timer.unref();
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Calls `tick` every so many milliseconds until stopped. Keeps the process alive no longer. */
export class Ticker {
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(milliseconds: number, tick: () => void) {
    this.#timer = setInterval(tick, milliseconds);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
