/** Bytes that legs hold because nobody takes them as yet, and the sum of all. */

export type HeldLimits = {
  /** Of the sum. */
  readonly bytesMax: number;
  /** What counts for a TLS leg that does not take all: bytes that wait in Bun, encrypted. */
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
  /** Since memory was last collected, or was not short. */
  #addedBytes = 0;

  /**
   * `relieve` is called when the sum is over its bound, at once: one turn of the loop can bring more than memory has.
   * `collect` has what is no longer held given back: it is called now and then while memory is short.
   */
  constructor(limits: HeldLimits, relieve: () => void, collect: () => void = nothing) {
    this.bytesMax = limits.bytesMax;
    this.encryptedBytesMax = limits.encryptedBytesMax;
    this.narrowReceiveBytes = limits.narrowReceiveBytes;
    this.#relieve = relieve;
    this.#collect = collect;
  }

  /** Half of it is used up: what is read from now on is to be little. */
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

  /** What was read and has gone is as much again, or more, as long as nobody collects it. */
  #collectNowAndThen(bytes: number): void {
    this.#addedBytes += bytes;
    if (this.#addedBytes < this.bytesMax / collectPart) return;
    this.#addedBytes = 0;
    this.#collect();
  }

  /** Memory has changed. */
  resize(bytesMax: number): void {
    this.bytesMax = bytesMax;
    this.add(0);
  }

  release(bytes: number): void {
    this.bytes -= bytes;
  }
}

const nothing = (): void => undefined;
/** Memory is collected when so large a part of what may be held was held. */
const collectPart = 8;

/** Chunks in the order they came; one that is written in part is kept whole, and counts as such. */
export class HeldQueue {
  /** Bytes that are to be written. */
  bytes = 0;
  /** What counts beside the chunks as long as there are any. */
  overheadBytes = 0;
  readonly #held: Held;
  #chunks: Uint8Array[] = [];
  /** Of the first chunk, before anything of it was written. */
  #firstBytes = 0;
  #counted = 0;

  constructor(held: Held) {
    this.#held = held;
  }

  /** What it counts in the sum. */
  get countedBytes(): number {
    return this.#counted;
  }

  get chunks(): readonly Uint8Array[] {
    return this.#chunks;
  }

  /** `chunk` without its first `written` bytes. The sum may be over its bound then, and the leg ended by that. */
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

  /** Writes until `leg` takes less than it is given. True if nothing is left. */
  flush(leg: { readonly write: (chunk: Uint8Array) => number }): boolean {
    for (;;) {
      const [chunk] = this.#chunks;
      if (chunk === undefined) return true;
      const written = leg.write(chunk);
      // A failed write may have ended the leg, and with it this.
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

/** For legs of which no sum is kept. */
export const unbounded = new Held(
  {
    bytesMax: Number.POSITIVE_INFINITY,
    encryptedBytesMax: 0,
    narrowReceiveBytes: 0,
  },
  () => undefined,
);
