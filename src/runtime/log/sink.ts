/** Output of log lines. A reader of stderr that stops reading costs lines, not memory or time. */
import { Deadline } from "../deadline.ts";

export type Sink = {
  readonly write: (line: string) => void;
  /** Written together with others of this turn of the event loop. */
  readonly writeLater: (line: string) => void;
  /** Resolves when everything is written, or half a second later. */
  readonly end: () => Promise<void>;
};

/** Bun's FileSink: a flush that the kernel does not accept at once is a promise. */
export type Writer = {
  readonly write: (text: string) => unknown;
  readonly flush: () => unknown;
};

/** `process.stderr` would buffer everything that a full pipe does not accept; this buffers a few lines. */
export class BoundedSink implements Sink {
  readonly #writer: Writer;
  readonly #lineOfLost: (lines: number) => string;
  #waiting: string[] = [];
  #later: string[] = [];
  #lost = 0;
  #blocked: Promise<void> | null = null;

  /** `lineOfLost` makes a log line with the number of lost lines. */
  constructor(writer: Writer, lineOfLost: (lines: number) => string) {
    this.#writer = writer;
    this.#lineOfLost = lineOfLost;
  }

  write(line: string): void {
    this.#writeNow();
    this.#write(line);
  }

  /** A system call for each line would be a twentieth of the cost of a short connection. */
  writeLater(line: string): void {
    if (this.#later.push(line) > 1) return;
    setImmediate(() => {
      this.#writeNow();
    });
  }

  #writeNow(): void {
    const lines = this.#later;
    if (lines.length === 0) return;
    this.#later = [];
    if (this.#blocked === null) this.#put(lines.join(""));
    else for (const line of lines) this.#write(line);
  }

  #write(line: string): void {
    if (this.#blocked === null) this.#put(line);
    else if (this.#waiting.length < linesWaitingMax) this.#waiting.push(line);
    else this.#lost += 1;
  }

  async end(): Promise<void> {
    this.#writeNow();
    if (this.#blocked === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadline = new Deadline(endMsMax, resolve);
    await Promise.race([this.#blocked, promise]);
    deadline.clear();
  }

  /** A closed stderr, or one on a full disk, costs lines and is no error. */
  #put(text: string): void {
    let flushed: unknown;
    try {
      this.#writer.write(text);
      flushed = this.#writer.flush();
    } catch {
      return;
    }
    if (!(flushed instanceof Promise)) return;
    const go = (): void => {
      this.#goOn();
    };
    this.#blocked = flushed.then(go, go);
  }

  #goOn(): void {
    this.#blocked = null;
    const lines = this.#waiting;
    if (this.#lost > 0) lines.push(this.#lineOfLost(this.#lost));
    this.#waiting = [];
    this.#lost = 0;
    if (lines.length > 0) this.#put(lines.join(""));
  }
}

/** Lines buffered for a slow reader. */
export const linesWaitingMax = 4096;
const endMsMax = 500;
