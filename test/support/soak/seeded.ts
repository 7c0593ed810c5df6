/** Randomness reproducible from a seed: which actions, not their timing. mulberry32. */
export class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, below 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** At least `min`, below `end`. */
  integer(min: number, end: number): number {
    return min + Math.floor(this.fraction() * (end - min));
  }

  pick<T>(choices: readonly [T, ...(readonly T[])]): T {
    return choices[this.integer(0, choices.length)] ?? choices[0];
  }

  /** Small sizes as often as large ones: 1 to `max`, evenly by magnitude. */
  size(max: number): number {
    return Math.floor(max ** this.fraction());
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }
}
