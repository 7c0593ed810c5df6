/** The signals that end the proxy: the first starts a graceful shutdown, the second ends it at once. */

export class EndSignals {
  readonly #come: NodeJS.Signals[] = [];
  #waiting: ((signal: NodeJS.Signals) => void) | null = null;

  /** Handles SIGTERM and SIGINT from now on. As PID 1 a process without a handler would ignore them. */
  constructor() {
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.on(signal, () => {
        this.#take(signal);
      });
  }

  /** Resolves with the next signal that was not returned yet. */
  async next(): Promise<NodeJS.Signals> {
    const come = this.#come.shift();
    if (come !== undefined) return come;
    return await new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  #take(signal: NodeJS.Signals): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#come.push(signal);
    else waiting(signal);
  }
}
