/** Metrics as they were rendered last: rendering takes the thread that relays more than a millisecond. */

/** What is rendered is shared by all that ask meanwhile. `now` is a monotonic clock in milliseconds. */
export class Rendered<T> {
  readonly #render: () => Promise<T>;
  readonly #now: () => number;
  #last: Promise<T> | null = null;
  #at = -Infinity;
  #tookMs = 0;
  /** Milliseconds of rendering that this pod may still have at once. */
  #left = budgetMsMax;
  #leftAt = 0;

  constructor(render: () => Promise<T>, now: () => number) {
    this.#render = render;
    this.#now = now;
  }

  /** `inside`: this pod asks. It sees what was counted a moment ago, as long as that takes a twentieth of the time. */
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

/** Older is rendered again, whoever asks. */
const ageMsMax = 1000;
const budgetMsMax = 200;
const budgetShare = 20;
