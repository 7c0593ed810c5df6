/** Places for inbound handshakes: only a few run at once, the others wait unread. Sources take turns. */
import { unverifiedLimits as limits } from "../config.ts";
import { HandshakeDeadline } from "../relay/handshake-deadline.ts";
import type { Visit } from "./visit.ts";

export class HandshakePlaces {
  /** Read each time, because available memory may change. */
  readonly #countMax: () => number;
  readonly #now: () => number;
  /** Those without a place, by source, the next one to be served first. */
  readonly #waiting = new Map<string, Set<Visit>>();
  #taken = 0;

  constructor(countMax: () => number, now: () => number) {
    this.#countMax = countMax;
    this.#now = now;
  }

  get isCrowded(): boolean {
    return this.#waiting.size > 0;
  }

  /**
   * Resolves when the handshake may begin, or when the leg has ended, within `msMax`. Until then the leg is paused;
   * the caller resumes it.
   */
  async turn(visit: Visit, msMax: number): Promise<void> {
    if (this.#free() > 0) {
      this.#take(visit);
      return;
    }
    const { leg } = visit;
    leg.pause();
    const { promise, resolve } = Promise.withResolvers<void>();
    visit.resolve = resolve;
    this.#wait(visit);
    const deadline = new HandshakeDeadline(leg, msMax, "server");
    await Promise.race([promise, leg.gone]);
    deadline.clear();
  }

  leave(visit: Visit): void {
    this.#unwait(visit);
    visit.resolve?.();
    if (visit.placedAt === null) return;
    this.#taken -= 1;
    this.admit();
  }

  /** Pauses handshakes that take longer than others can wait, as many as are ready to take their places. */
  park(visits: readonly Visit[]): void {
    const ready = visits.filter(({ isWaiting, isReady }) => isWaiting && isReady).length;
    let wanted = ready - Math.max(0, this.#free());
    const before = this.#now() - limits.leaseMsMax;
    for (const visit of visits) {
      if (wanted <= 0) return;
      const { placedAt, leg } = visit;
      if (placedAt === null || placedAt > before || leg.closed) continue;
      visit.placedAt = null;
      visit.wasPlaced = true;
      this.#taken -= 1;
      leg.pause();
      this.#wait(visit);
      wanted -= 1;
    }
  }

  /** Gives free places to those that wait with pending data. */
  admit(): void {
    while (this.#free() > 0) {
      const visit = this.#next();
      if (visit === null) return;
      this.#take(visit);
      visit.resolve?.();
      visit.resolve = null;
      if (visit.wasPlaced) visit.leg.resume();
    }
  }

  #free(): number {
    return this.#countMax() - this.#taken;
  }

  #take(visit: Visit): void {
    this.#taken += 1;
    visit.placedAt = this.#now();
  }

  #wait(visit: Visit): void {
    const set = this.#waiting.get(visit.source) ?? new Set();
    this.#waiting.set(visit.source, set);
    set.add(visit);
    visit.isWaiting = true;
  }

  #unwait(visit: Visit): void {
    visit.isWaiting = false;
    const set = this.#waiting.get(visit.source);
    if (set?.delete(visit) === true && set.size === 0) this.#waiting.delete(visit.source);
  }

  /** The first with pending data of the next source, which then moves to the end. */
  #next(): Visit | null {
    for (const [source, set] of this.#waiting) {
      for (const visit of set) {
        if (!visit.isReady) continue;
        this.#unwait(visit);
        if (set.size > 0) {
          this.#waiting.delete(source);
          this.#waiting.set(source, set);
        }
        return visit;
      }
    }
    return null;
  }
}
