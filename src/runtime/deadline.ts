/** The only timers: every wait of the proxy uses one of these. */

/** Calls `late` once after `milliseconds` unless cleared first. Does not keep the process alive. */
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

/** Calls `tick` every so many milliseconds until stopped. Does not keep the process alive. */
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
