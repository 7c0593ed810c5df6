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
  readonly #waiting = new Map<string, Waiting[]>();
  #free: number;

  constructor(places: number, leaseMsMax: number) {
    this.#free = places;
    this.#leaseMsMax = leaseMsMax;
  }

  /** Null when its turn has not come within `waitMsMax`. */
  async enter(destination: string, waitMsMax: number): Promise<Lease | null> {
    if (this.#free > 0) this.#free -= 1;
    else if (!(await this.#turn(destination, waitMsMax))) return null;
    return this.#lease();
  }

  async #turn(destination: string, waitMsMax: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting: Waiting = { resolve, gone: false };
    const deadline = new Deadline(waitMsMax, () => {
      waiting.gone = true;
      resolve(false);
    });
    const queue = this.#waiting.get(destination) ?? [];
    this.#waiting.set(destination, queue);
    queue.push(waiting);
    const come = await promise;
    deadline.clear();
    return come;
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
    const next = this.#next();
    if (next === null) this.#free += 1;
    else next.resolve(true);
  }

  /** The first of the next destination, which goes to the end; those who have given up are passed over. */
  #next(): Waiting | null {
    for (const [destination, queue] of this.#waiting) {
      this.#waiting.delete(destination);
      let first = queue.shift();
      while (first?.gone === true) first = queue.shift();
      if (queue.length > 0) this.#waiting.set(destination, queue);
      if (first !== undefined) return first;
    }
    return null;
  }
}

type Waiting = { readonly resolve: (come: boolean) => void; gone: boolean };
