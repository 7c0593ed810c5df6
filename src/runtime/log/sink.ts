/** Where lines go. A reader of stderr that stops reading costs lines, not memory and not time. */
import { Deadline } from "../deadline.ts";

export type Sink = {
  readonly write: (line: string) => void;
  /** With the others of this turn of the event loop. */
  readonly writeLater: (line: string) => void;
  /** Resolves when all is written, or half a second later. */
  readonly end: () => Promise<void>;
};

/** Bun's FileSink: a flush that the kernel does not take at once is a promise. */
export type Writer = {
  readonly write: (text: string) => unknown;
  readonly flush: () => unknown;
};

/** `process.stderr` would keep everything that a full pipe does not take; this keeps a few lines. */
export class BoundedSink implements Sink {
  readonly #writer: Writer;
  readonly #lineOfLost: (lines: number) => string;
  #waiting: string[] = [];
  #later: string[] = [];
  #lost = 0;
  #blocked: Promise<void> | null = null;

  /** `lineOfLost` says in the log's own form how many lines are lost. */
  constructor(writer: Writer, lineOfLost: (lines: number) => string) {
    this.#writer = writer;
    this.#lineOfLost = lineOfLost;
  }

  write(line: string): void {
    this.#writeNow();
    this.#write(line);
  }

  /** A system call for each line would be a twentieth of what a short connection costs. */
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

  /** A stderr that is closed, or on a full disk, costs lines and is no error. */
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

/** Lines that wait for a reader. */
export const linesWaitingMax = 4096;
const endMsMax = 500;
