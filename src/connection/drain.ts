/** Shutdown: connections continue, and new ones are accepted, until there are none, or time is up. */
import type { ConnectionRegistry } from "./registry.ts";
import { Deadline } from "../runtime/deadline.ts";

export type DrainEnd = "all connections have ended" | "the time is up" | "a second signal has come";

export class Drain {
  readonly #registry: ConnectionRegistry;
  readonly #msMax: number;
  #isUnderWay = false;

  constructor(registry: ConnectionRegistry, msMax: number) {
    this.#registry = registry;
    this.#msMax = msMax;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Waits for the first of three: no live connection, `msMax`, `forced`. */
  async end(forced: Promise<unknown>): Promise<DrainEnd> {
    this.#isUnderWay = true;
    const late = Promise.withResolvers<DrainEnd>();
    const deadline = new Deadline(this.#msMax, () => {
      late.resolve("the time is up");
    });
    const end = await Promise.race([
      this.#registry.empty().then((): DrainEnd => "all connections have ended"),
      late.promise,
      forced.then((): DrainEnd => "a second signal has come"),
    ]);
    deadline.clear();
    return end;
  }
}
