/**
 * Limits simultaneous handshakes. Bun serves five new ones and five waiting ones each turn of its loop, the youngest
 * first: with more in progress, old ones starve (142 of 6,000), here or at the peer.
 */
import { Deadline } from "../runtime/deadline.ts";

/** A place at the gate. A second release does no harm. */
export type Lease = { readonly release: () => void };

/** The number of places, and the time after which each returns by itself. */
export type GatePlaces = { readonly count: number; readonly leaseMsMax: number };

export type GateOptions = {
  readonly all: GatePlaces;
  /**
   * Per destination, for a shorter time: as few as a near peer can serve in one turn. This does not limit a distant
   * one, whose handshakes are on the network for longer.
   */
  readonly each: GatePlaces;
};

/**
 * Destinations take turns, and connections to the same one are served in order: one that never answers delays only
 * its own connections.
 */
export class HandshakeGate {
  readonly #options: GateOptions;
  /** By destination, the next one to be served first. */
  readonly #waiting = new Map<string, Waiting[]>();
  /** Assigned places by destination: those that count toward `each`. */
  readonly #out = new Map<string, number>();
  #free: number;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#free = options.all.count;
  }

  /** Null if its turn has not come within `waitMsMax`. */
  async enter(destination: string, waitMsMax: number): Promise<Lease | null> {
    if (this.#isOpen(destination) && !this.#waiting.has(destination)) this.#take(destination);
    else if (!(await this.#turn(destination, waitMsMax))) return null;
    return this.#lease(destination);
  }

  #isOpen(destination: string): boolean {
    return this.#free > 0 && (this.#out.get(destination) ?? 0) < this.#options.each.count;
  }

  #take(destination: string): void {
    this.#free -= 1;
    this.#out.set(destination, (this.#out.get(destination) ?? 0) + 1);
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

  #lease(destination: string): Lease {
    const { all, each } = this.#options;
    const leaveOne = once(() => {
      this.#leave(destination);
    });
    const leaveAll = once(() => {
      this.#free += 1;
    });
    const release = (): void => {
      deadline.clear();
      leaveOne();
      leaveAll();
      this.#admit();
    };
    let deadline = new Deadline(each.leaseMsMax, () => {
      deadline = new Deadline(all.leaseMsMax - each.leaseMsMax, release);
      leaveOne();
      this.#admit();
    });
    return { release };
  }

  #leave(destination: string): void {
    const left = (this.#out.get(destination) ?? 1) - 1;
    if (left === 0) this.#out.delete(destination);
    else this.#out.set(destination, left);
  }

  #admit(): void {
    for (;;) {
      const next = this.#next();
      if (next === null) return;
      next.resolve(true);
    }
  }

  /**
   * The first of the next open destination, which moves to the end, with its place; skips those that have given up.
   */
  #next(): Waiting | null {
    if (this.#free === 0) return null;
    for (const [destination, queue] of this.#waiting) {
      if (!this.#isOpen(destination)) continue;
      this.#waiting.delete(destination);
      let first = queue.shift();
      while (first?.gone === true) first = queue.shift();
      if (queue.length > 0) this.#waiting.set(destination, queue);
      if (first === undefined) continue;
      this.#take(destination);
      return first;
    }
    return null;
  }
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}

type Waiting = { readonly resolve: (come: boolean) => void; gone: boolean };
