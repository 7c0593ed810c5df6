/** Bytes that legs buffer because their receivers do not take them yet, and the sum of all. */

export type HeldLimits = {
  /** Limit of the sum. */
  readonly bytesMax: number;
  /** What a TLS leg with back-pressure counts in addition: encrypted bytes that wait in Bun. */
  readonly encryptedBytesMax: number;
  /** SO_RCVBUF of legs that are paused while memory is short. */
  readonly narrowReceiveBytes: number;
};

/** What all legs hold together. */
export class Held {
  bytes = 0;
  bytesMax: number;
  readonly encryptedBytesMax: number;
  readonly narrowReceiveBytes: number;
  readonly #relieve: () => void;
  readonly #collect: () => void;
  #relieving = false;
  /** Bytes added while memory was short, since it was last collected. */
  #addedBytes = 0;

  /**
   * `relieve` is called as soon as the sum exceeds its limit: one turn of the loop can bring more than memory allows.
   * `collect` returns released memory: it is called at intervals while memory is short.
   */
  constructor(limits: HeldLimits, relieve: () => void, collect: () => void = nothing) {
    this.bytesMax = limits.bytesMax;
    this.encryptedBytesMax = limits.encryptedBytesMax;
    this.narrowReceiveBytes = limits.narrowReceiveBytes;
    this.#relieve = relieve;
    this.#collect = collect;
  }

  /** Half of the limit is used: from now on reads must be small. */
  get isShort(): boolean {
    return this.bytes > this.bytesMax / 2;
  }

  add(bytes: number): void {
    this.bytes += bytes;
    if (this.isShort) this.#collectNowAndThen(bytes);
    if (this.bytes <= this.bytesMax || this.#relieving) return;
    this.#relieving = true;
    try {
      this.#relieve();
    } finally {
      this.#relieving = false;
    }
  }

  /** Data that was read and released takes as much memory again, or more, until it is collected. */
  #collectNowAndThen(bytes: number): void {
    this.#addedBytes += bytes;
    if (this.#addedBytes < this.bytesMax / collectPart) return;
    this.#addedBytes = 0;
    this.#collect();
  }

  /** The available memory has changed. */
  resize(bytesMax: number): void {
    this.bytesMax = bytesMax;
    this.add(0);
  }

  release(bytes: number): void {
    this.bytes -= bytes;
  }
}

const nothing = (): void => undefined;
/** Memory is collected after this fraction of the limit has been held. */
const collectPart = 8;

/** Chunks in order of arrival; a partly written one is kept whole, and counts as such. */
export class HeldQueue {
  /** Bytes still to be written. */
  bytes = 0;
  /** What counts in addition to the chunks while there are any. */
  overheadBytes = 0;
  readonly #held: Held;
  #chunks: Uint8Array[] = [];
  /** Size of the first chunk before any of it was written. */
  #firstBytes = 0;
  #counted = 0;

  constructor(held: Held) {
    this.#held = held;
  }

  /** Its share of the sum. */
  get countedBytes(): number {
    return this.#counted;
  }

  get chunks(): readonly Uint8Array[] {
    return this.#chunks;
  }

  /**
   * Adds `chunk` without its first `written` bytes. The sum may then exceed its limit, and the leg be ended for that.
   */
  push(chunk: Uint8Array, written = 0): void {
    let counted = chunk.length;
    if (this.#chunks.length === 0) {
      this.#firstBytes = chunk.length;
      counted += this.overheadBytes;
    }
    this.#chunks.push(written === 0 ? chunk : chunk.subarray(written));
    this.bytes += chunk.length - written;
    this.#counted += counted;
    this.#held.add(counted);
  }

  /** Writes until `leg` accepts less than it is given. True if nothing is left. */
  flush(leg: { readonly write: (chunk: Uint8Array) => number }): boolean {
    for (;;) {
      const [chunk] = this.#chunks;
      if (chunk === undefined) return true;
      const written = leg.write(chunk);
      // A failed write may have ended the leg, and with it this queue.
      if (this.#chunks.length === 0) return true;
      this.bytes -= written;
      if (written < chunk.length) {
        this.#chunks[0] = chunk.subarray(written);
        return false;
      }
      this.#shift();
    }
  }

  /** Everything, in order; nothing is left. */
  take(): readonly Uint8Array[] {
    const chunks = this.#chunks;
    this.clear();
    return chunks;
  }

  clear(): void {
    this.#held.release(this.#counted);
    this.#chunks = [];
    this.#counted = 0;
    this.bytes = 0;
  }

  #shift(): void {
    this.#chunks.shift();
    const [next] = this.#chunks;
    const released = this.#firstBytes + (next === undefined ? this.overheadBytes : 0);
    this.#firstBytes = next?.length ?? 0;
    this.#counted -= released;
    this.#held.release(released);
  }
}

/** For legs without a common sum. */
export const unbounded = new Held(
  {
    bytesMax: Number.POSITIVE_INFINITY,
    encryptedBytesMax: 0,
    narrowReceiveBytes: 0,
  },
  () => undefined,
);
