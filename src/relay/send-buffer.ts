/** What a leg sends: bytes that its kernel buffer does not take are held here. */
import type { LegSocket } from "../net/leg-socket.ts";
import { HeldQueue, type Held } from "./held.ts";

export class SendBuffer {
  /** Bytes that the kernel has taken, without the proxy's own. */
  bytesWritten = 0;
  readonly #socket: LegSocket;
  readonly #queue: HeldQueue;
  /** Bytes of the proxy's own that are not written yet; they go before all others. */
  #ownBytes = 0;

  /** `total`: where held bytes count. */
  constructor(socket: LegSocket, total: Held) {
    this.#socket = socket;
    this.#queue = new HeldQueue(total);
    if (socket.tls) this.#queue.overheadBytes = total.encryptedBytesMax;
  }

  /** Bytes that wait for the kernel buffer. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** What they count in the sum of held bytes. */
  get countedBytes(): number {
    return this.#queue.countedBytes;
  }

  /** The leg is a plain one: no encrypted bytes wait in Bun. */
  startPlain(): void {
    this.#queue.overheadBytes = 0;
  }

  /** The next `bytes` are the proxy's own and are not counted as written. */
  expectOwn(bytes: number): void {
    this.#ownBytes += bytes;
  }

  /** Writes unless others wait before it; returns how many bytes were taken. */
  offer(chunk: Uint8Array): number {
    return this.#queue.bytes > 0 ? 0 : this.write(chunk);
  }

  /** Holds what was not taken. The sum of held bytes may be over its bound then, and the leg ended by that. */
  hold(chunk: Uint8Array, written: number): void {
    this.#queue.push(chunk, written);
  }

  /** True if nothing waits any more. */
  flush(): boolean {
    return this.#queue.flush(this);
  }

  clear(): void {
    this.#queue.clear();
  }

  /** For the queue of held bytes only. */
  write(chunk: Uint8Array): number {
    const written = this.#socket.write(chunk);
    const own = Math.min(this.#ownBytes, written);
    this.#ownBytes -= own;
    this.bytesWritten += written - own;
    return written;
  }
}
