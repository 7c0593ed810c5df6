/** Bounds the handshakes begun at once: in bursts Bun serves new ones before old ones (142 of 6,000 starved). */
import { Deadline } from "../deadline.ts";

/** A place at the gate. Giving it back twice is harmless. */
export type Lease = { readonly release: () => void };

/**
 * At most `places` leases are out. A lease returns by itself after `leaseMsMax`, so a peer that never answers
 * delays the others by that much at most; who waits is served in order.
 */
export class HandshakeGate {
  readonly #leaseMsMax: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(places: number, leaseMsMax: number) {
    this.#free = places;
    this.#leaseMsMax = leaseMsMax;
  }

  async enter(): Promise<Lease> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#lease();
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
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
