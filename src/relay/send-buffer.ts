/** The send side of a leg: holds the bytes that its kernel buffer does not accept. */
import type { LegSocket } from "../net/leg-socket.ts";
import { HeldQueue, type Held } from "./held.ts";

export class SendBuffer {
  /** Bytes that the kernel has accepted, without the proxy's own. */
  bytesWritten = 0;
  readonly #socket: LegSocket;
  readonly #queue: HeldQueue;
  /** The proxy's own bytes that are not written yet; they precede all others. */
  #ownBytes = 0;

  /** `total`: the sum that held bytes are added to. */
  constructor(socket: LegSocket, total: Held) {
    this.#socket = socket;
    this.#queue = new HeldQueue(total);
    if (socket.tls) this.#queue.overheadBytes = total.encryptedBytesMax;
  }

  /** Bytes that wait for the kernel buffer. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Their share of the sum of held bytes. */
  get countedBytes(): number {
    return this.#queue.countedBytes;
  }

  /** The leg is plain: no encrypted bytes wait in Bun. */
  startPlain(): void {
    this.#queue.overheadBytes = 0;
  }

  /** The next `bytes` are the proxy's own and do not count as written. */
  expectOwn(bytes: number): void {
    this.#ownBytes += bytes;
  }

  /** Writes unless earlier bytes wait; returns how many bytes were accepted. */
  offer(chunk: Uint8Array): number {
    return this.#queue.bytes > 0 ? 0 : this.write(chunk);
  }

  /** Holds what was not accepted. The sum of held bytes may then exceed its limit, and the leg be ended for that. */
  hold(chunk: Uint8Array, written: number): void {
    this.#queue.push(chunk, written);
  }

  /** True if no bytes wait any more. */
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
