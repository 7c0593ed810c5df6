/** Tries to put in force what files say, one attempt at a time. After a failure it tries again, with growing delays. */
import { Deadline } from "../runtime/deadline.ts";

export type RetryMs = { readonly first: number; readonly max: number };

export class Attempts {
  readonly #attempt: () => Promise<void>;
  readonly #retryMsOf: RetryMs;
  #retryMs: number;
  #retry: Deadline | null = null;
  #running = false;
  #again = false;
  #stopped = false;

  /** `attempt` rejects only for a bug. */
  constructor(attempt: () => Promise<void>, retryMsOf: RetryMs = defaultRetryMs) {
    this.#attempt = attempt;
    this.#retryMsOf = retryMsOf;
    this.#retryMs = retryMsOf.first;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The delay of the next retry: doubled by each retry, and the first one after every other attempt. */
  get retryMs(): number {
    return this.#retryMs;
  }

  /** Attempts now. While an attempt is under way, another one follows it, and this resolves at once. */
  async run(): Promise<void> {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    this.#retryMs = this.#retryMsOf.first;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        this.#retry?.clear();
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await this.#attempt();
      }
    } finally {
      this.#running = false;
    }
  }

  /** Attempts again after this time, unless something else does before. */
  retryIn(ms: number): void {
    this.#retry = new Deadline(ms, () => void this.#runAgain());
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.clear();
  }

  async #runAgain(): Promise<void> {
    if (this.#running) return;
    const retryMs = Math.min(2 * this.#retryMs, this.#retryMsOf.max);
    const ended = this.run();
    this.#retryMs = retryMs;
    await ended;
  }
}

const defaultRetryMs: RetryMs = { first: 5000, max: 300_000 };
