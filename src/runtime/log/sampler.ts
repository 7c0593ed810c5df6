/** Bounds how many lines of one kind are written in a second, and counts those that are not. */
import { Deadline } from "../deadline.ts";

export type LeftOut = { readonly kind: string; readonly lines: number };

/** A second begins with the first line after the last one; at its end `report` hears what was left out. */
export class Sampler {
  readonly #linesMax: number;
  readonly #report: (leftOut: readonly LeftOut[]) => void;
  /** By kind; kinds are the program's own words. */
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

  /** Ends the second. */
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
