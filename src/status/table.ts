/**
 * Chooses the connection to close when there are too many: one of the source with the most, and never a probe because
 * of a flood. Pure.
 */

export type TableEntry = {
  /** The key by which its source is counted. */
  readonly source: string;
  /** Closed only if there is no other choice. */
  readonly isPreferred: boolean;
};

/** Connections in order of arrival. */
export class Table<T extends TableEntry> {
  readonly #live = new Set<T>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Adds it, and returns the one to close, which may be the new one; null if all fit. */
  add(one: T): T | null {
    this.#live.add(one);
    return this.#live.size <= this.#max ? null : this.#superfluous(one);
  }

  delete(one: T): void {
    this.#live.delete(one);
  }

  /** A new connection of the largest source is closed before it costs anything; otherwise that source's oldest. */
  #superfluous(latest: T): T {
    const all = [...this.#live];
    const strangers = all.filter(({ isPreferred }) => !isPreferred);
    const among = strangers.length > 0 ? strangers : all;
    const counts = new Map<string, number>();
    for (const { source } of among) counts.set(source, (counts.get(source) ?? 0) + 1);
    const most = Math.max(...counts.values());
    if (!latest.isPreferred && most > 1 && counts.get(latest.source) === most) return latest;
    return among.find(({ source }) => counts.get(source) === most) ?? latest;
  }
}
