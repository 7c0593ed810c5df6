/** A cache of rendered metrics: rendering takes more than a millisecond of the thread that relays. */

/** Simultaneous requests share one rendering. `now` is a monotonic clock in milliseconds. */
export class Rendered<T> {
  readonly #render: () => Promise<T>;
  readonly #now: () => number;
  #last: Promise<T> | null = null;
  #at = -Infinity;
  #tookMs = 0;
  /** Milliseconds of rendering that this pod may still use at once. */
  #left = budgetMsMax;
  #leftAt = 0;

  constructor(render: () => Promise<T>, now: () => number) {
    this.#render = render;
    this.#now = now;
  }

  /** `inside`: a request from this pod. It gets current values, as long as that takes a twentieth of the time. */
  async get(inside: boolean): Promise<T> {
    const now = this.#now();
    this.#left = Math.min(budgetMsMax, this.#left + (now - this.#leftAt) / budgetShare);
    this.#leftAt = now;
    const isFresh = now - this.#at < ageMsMax;
    const spends = inside && this.#left >= this.#tookMs;
    if (this.#last === null || !isFresh || spends) {
      this.#at = now;
      this.#last = this.#measured();
    }
    return await this.#last;
  }

  async #measured(): Promise<T> {
    const began = this.#now();
    try {
      return await this.#render();
    } catch (error) {
      this.#at = -Infinity;
      throw error;
    } finally {
      this.#tookMs = this.#now() - began;
      this.#left -= this.#tookMs;
    }
  }
}

/** An older rendering is replaced for any client. */
const ageMsMax = 1000;
const budgetMsMax = 200;
const budgetShare = 20;
