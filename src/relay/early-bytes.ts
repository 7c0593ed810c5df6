/**
 * Bytes read before a leg is relayed: those that came with the last handshake record, a PROXY protocol header, a
 * probe.
 */
import { HeldQueue, type Held } from "./held.ts";

/** The leg, for `take`. */
type Readable = {
  readonly closed: boolean;
  readonly hasPeerEnded: boolean;
  readonly pause: () => void;
  readonly resume: () => void;
};

export class EarlyBytes {
  readonly #queue: HeldQueue;
  #wake: () => void = nothing;

  /** `total`: the sum that they are added to. */
  constructor(total: Held) {
    this.#queue = new HeldQueue(total);
  }

  /** Their share of the sum of held bytes. */
  get countedBytes(): number {
    return this.#queue.countedBytes;
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
    this.wake();
  }

  /** Takes as many bytes as `lengthOf` returns for those received, reading on from `leg`; null if it ends before. */
  async take(lengthOf: (come: Uint8Array) => number, leg: Readable): Promise<Uint8Array | null> {
    for (;;) {
      const come = Buffer.concat(this.#queue.chunks);
      const length = lengthOf(come);
      if (come.length >= length) {
        this.#keepFrom(come, length);
        leg.pause();
        return come.subarray(0, length);
      }
      if (leg.closed || leg.hasPeerEnded) return null;
      const more = this.#more();
      leg.resume();
      // oxlint-disable-next-line no-await-in-loop -- one read after the other
      await more;
    }
  }

  /** All of them, in order; none are left. */
  takeAll(): readonly Uint8Array[] {
    return this.#queue.take();
  }

  clear(): void {
    this.#queue.clear();
  }

  /** Wakes the pending take(): the leg has ended, or the next bytes have arrived. */
  wake(): void {
    this.#wake();
  }

  async #more(): Promise<void> {
    const come = Promise.withResolvers<void>();
    this.#wake = come.resolve;
    await come.promise;
  }

  #keepFrom(come: Uint8Array, start: number): void {
    this.#queue.clear();
    if (come.length > start) this.#queue.push(come, start);
  }
}

const nothing = (): void => undefined;
