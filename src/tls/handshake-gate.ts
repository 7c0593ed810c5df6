/** Bounds the handshakes begun at once: in bursts Bun serves new ones before old ones (142 of 6,000 starved). */
import { Deadline } from "../deadline.ts";

/** A place at the gate. Giving it back twice is harmless. */
export type Lease = { readonly release: () => void };

/**
 * At most `places` leases are out. A lease returns by itself after `leaseMsMax`. Destinations take turns, those
 * who wait for the same one are served in order: one that never answers delays its own connections, not others'.
 */
export class HandshakeGate {
  readonly #leaseMsMax: number;
  /** By destination, the next one to be served first. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #free: number;

  constructor(places: number, leaseMsMax: number) {
    this.#free = places;
    this.#leaseMsMax = leaseMsMax;
  }

  async enter(destination: string): Promise<Lease> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#queueOf(destination).push(resolve));
    return this.#lease();
  }

  #queueOf(destination: string): (() => void)[] {
    const queue = this.#waiting.get(destination) ?? [];
    this.#waiting.set(destination, queue);
    return queue;
  }

  #lease(): Lease {
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      deadline.clear();
      this.#leave();
    };
    const deadline = new Deadline(this.#leaseMsMax, release);
    return { release };
  }

  #leave(): void {
    const [turn] = this.#waiting;
    if (turn === undefined) {
      this.#free += 1;
      return;
    }
    const [destination, queue] = turn;
    const next = queue.shift();
    this.#waiting.delete(destination);
    if (queue.length > 0) this.#waiting.set(destination, queue);
    next?.();
  }
}
