/** Who goes when there are too many connections: one of the source that has the most, and never a probe for a flood. Pure. */

export type TableEntry = {
  /** What its source is counted by. */
  readonly source: string;
  /** It goes only for want of others. */
  readonly isPreferred: boolean;
};

/** Connections in the order in which they came. */
export class Table<T extends TableEntry> {
  readonly #live = new Set<T>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Takes it in, and returns the one that has to go, null if all have their place: that may be the new one. */
  add(one: T): T | null {
    this.#live.add(one);
    return this.#live.size <= this.#max ? null : this.#superfluous(one);
  }

  delete(one: T): void {
    this.#live.delete(one);
  }

  /** What comes from the largest source is turned away before it costs anything; else its oldest goes. */
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
