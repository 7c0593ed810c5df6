/** The demo's output: a line for each expectation, with what was seen. */

export type TranscriptLine = {
  readonly title: string;
  readonly expected: string;
  readonly seen: string;
  readonly good: boolean;
};

export class Transcript {
  readonly #write: (text: string) => void;
  readonly #colour: boolean;
  #good = 0;
  #bad = 0;

  constructor(write: (text: string) => void, colour: boolean) {
    this.#write = write;
    this.#colour = colour;
  }

  get failed(): number {
    return this.#bad;
  }

  get shown(): number {
    return this.#good + this.#bad;
  }

  heading(text: string): void {
    this.#write(`\n${this.#paint(bold, text)}\n`);
  }

  line(line: TranscriptLine): void {
    if (line.good) this.#good += 1;
    else this.#bad += 1;
    const sign = line.good ? this.#paint(green, "✓") : this.#paint(red, "✗");
    const expected = `expected ${line.expected}`.padEnd(expectedWidth);
    const seen = line.good ? line.seen : this.#paint(red, line.seen);
    this.#write(`  ${sign} ${line.title.padEnd(titleWidth)}  ${expected}  seen ${seen}\n`);
  }

  /** Prints additional text, such as a proxy's log. */
  quote(text: string): void {
    this.#write(`      ${this.#paint(dim, text)}\n`);
  }

  #paint(code: number, text: string): string {
    return this.#colour ? `\u001B[${code}m${text}\u001B[0m` : text;
  }
}

const titleWidth = 46;
const expectedWidth = 22;
const bold = 1;
const dim = 2;
const red = 31;
const green = 32;
