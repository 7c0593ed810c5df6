/** The signals that end the proxy: the first one asks, the second one insists. */

export class EndSignals {
  readonly #come: NodeJS.Signals[] = [];
  #waiting: ((signal: NodeJS.Signals) => void) | null = null;

  /** Listens for SIGTERM and SIGINT from now on. As PID 1 a process without a handler would ignore them. */
  constructor() {
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.on(signal, () => {
        this.#take(signal);
      });
  }

  /** Resolves with the next signal that nobody has waited for. */
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
