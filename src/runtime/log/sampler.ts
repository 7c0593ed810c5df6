/** Limits the lines of one kind per second, and counts the omitted ones. */
import { Deadline } from "../deadline.ts";

export type LeftOut = { readonly kind: string; readonly lines: number };

/** A second begins with the first line after the last one; at its end `report` gets the number of omitted lines. */
export class Sampler {
  readonly #linesMax: number;
  readonly #report: (leftOut: readonly LeftOut[]) => void;
  /** Counts by kind; kinds are the program's own words. */
  readonly #seen = new Map<string, number>();
  #second: Deadline | null = null;

  constructor(linesMax: number, report: (leftOut: readonly LeftOut[]) => void) {
    this.#linesMax = linesMax;
    this.#report = report;
  }

  admit(kind: string): boolean {
    const seen = (this.#seen.get(kind) ?? 0) + 1;
    this.#seen.set(kind, seen);
    this.#second ??= new Deadline(1000, () => {
      this.flush();
    });
    return seen <= this.#linesMax;
  }

  /** Ends the current second. */
  flush(): void {
    this.#second?.clear();
    this.#second = null;
    const leftOut = [...this.#seen]
      .filter(([, seen]) => seen > this.#linesMax)
      .map(([kind, seen]) => ({ kind, lines: seen - this.#linesMax }));
    this.#seen.clear();
    if (leftOut.length > 0) this.#report(leftOut);
  }
}
