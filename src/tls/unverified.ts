/**
 * Peers whose handshakes are in progress. Each may make the TLS library buffer a hundred kilobytes, and the kernel
 * unread bytes, for as long as --handshake-timeout: so only a few handshakes run at once (handshake-places.ts), and
 * when memory is short the connection that holds most is closed first (visit-groups.ts).
 */
import { unverifiedLimits as limits } from "../config.ts";
import { Deadline } from "../runtime/deadline.ts";
import * as native from "../native/native.ts";
import type { Fault } from "../net/fault.ts";
import type { Leg } from "../relay/leg.ts";
import { HandshakePlaces } from "./handshake-places.ts";
import { Visit, type VisitOrigin } from "./visit.ts";
import { VisitGroups } from "./visit-groups.ts";

export type UnverifiedBounds = {
  /** Number of simultaneous handshakes. */
  readonly handshakesMax: number;
  /** Limit for the total of what the others hold. */
  readonly unverifiedBytesMax: number;
  /** Whether unread data in the kernel counts too. */
  readonly countsSockets: boolean;
};

export type UnverifiedOptions = {
  /** Read each time, because available memory may change. */
  readonly bounds: () => UnverifiedBounds;
  /** From the first bytes of a handshake until its end. */
  readonly replyMsMax: number;
  /** Called when one is ended because memory is short. */
  readonly refused: (fault: Fault) => void;
  readonly now: () => number;
  /** Like `native.lookAtWaiting`. */
  readonly look?: typeof native.lookAtWaiting;
};

export class Unverified {
  readonly #options: UnverifiedOptions;
  readonly #visits = new VisitGroups();
  readonly #places: HandshakePlaces;
  #isLooking = false;
  /** The last check has skipped some. */
  #hasSkipped = false;
  #fds = new Int32Array(64);
  #seen = new Uint32Array(128);

  constructor(options: UnverifiedOptions) {
    this.#options = options;
    this.#places = new HandshakePlaces(() => options.bounds().handshakesMax, options.now);
  }

  get size(): number {
    return this.#visits.size;
  }

  /** What all of them hold beyond their base allowances, at the last check. */
  get bytes(): number {
    return this.#visits.bytes;
  }

  sizeOf(source: string): number {
    return this.#visits.sizeOf(source);
  }

  enter(leg: Leg, origin: VisitOrigin): Visit {
    const visit = new Visit(leg, origin, this.#options.now());
    this.#visits.add(visit);
    if (!this.#isLooking) this.#lookLater();
    return visit;
  }

  /** Waits for a place: `HandshakePlaces.turn`. */
  async turn(visit: Visit, msMax: number): Promise<void> {
    await this.#places.turn(visit, msMax);
  }

  /** The peer is verified, refused or gone. A second call does no harm. */
  leave(visit: Visit): void {
    if (this.#visits.remove(visit)) this.#places.leave(visit);
  }

  /**
   * Makes room for one more connection of `source`: if another source holds much more, closes the one of its
   * connections that holds the most bytes, the oldest if none holds more. Sources that hold about the same do not
   * displace each other before each has had some time, nor does a source its own connections: a crowd that returns at
   * once would otherwise never complete a handshake. Within a source, a host with many connections makes room for one
   * with few. Returns false if nothing makes room.
   */
  makeRoom(origin: VisitOrigin): boolean {
    this.#catchUp();
    return this.#end(this.#visits.victimFor(origin, this.#options.now()), "EVICTED");
  }

  /** Like `makeRoom`, within the same source. */
  makeRoomWithin(origin: VisitOrigin): boolean {
    this.#catchUp();
    return this.#end(this.#visits.victimWithin(origin, this.#options.now()), "EVICTED");
  }

  /** Keeps checking as long as there are visits to check. */
  #lookLater(): void {
    this.#isLooking = true;
    // oxlint-disable-next-line no-new -- it keeps itself
    new Deadline(lookMs(this.size), () => {
      this.#isLooking = false;
      this.#look();
      if (this.size > 0 && !this.#isLooking) this.#lookLater();
    });
  }

  #look(): void {
    const visits = this.#isCalm() ? this.#slow() : this.#visits.all();
    this.#hasSkipped = visits.length < this.size;
    if (visits.length > 0) this.#measure(visits);
    for (const visit of visits) this.#judge(visit);
    this.#relieve();
    this.#places.park(visits);
    this.#places.admit();
  }

  /**
   * True if none waits for a place, and all together cannot hold more than there is room for: then no check would
   * close one. Each check costs three system calls per socket, and most handshakes end before the next one.
   */
  #isCalm(): boolean {
    const bytesMax = this.size * limits.handshakeBytesMax;
    return !this.#places.isCrowded && bytesMax <= this.#options.bounds().unverifiedBytesMax;
  }

  /** Those with long handshakes: to enforce their deadlines, and the limit on what they may send in all. */
  #slow(): readonly Visit[] {
    const before = this.#options.now() - limits.calmMs;
    return this.#visits.all().filter(({ since }) => since <= before);
  }

  /** The choice of which to close considers what all of them hold. */
  #catchUp(): void {
    if (!this.#hasSkipped) return;
    this.#hasSkipped = false;
    this.#measure(this.#visits.all());
  }

  #measure(visits: readonly Visit[]): void {
    if (this.#fds.length < visits.length) {
      this.#fds = new Int32Array(2 * visits.length);
      this.#seen = new Uint32Array(4 * visits.length);
    }
    for (const [index, { leg }] of visits.entries()) this.#fds[index] = leg.socket.fd;
    const look = this.#options.look ?? native.lookAtWaiting;
    look(this.#fds, visits.length, this.#seen);
    for (const [index, visit] of visits.entries())
      this.#note(visit, this.#seen[2 * index] ?? 0, this.#seen[2 * index + 1] ?? 0);
  }

  #note(visit: Visit, read: number, kernel: number): void {
    const kept = read + (this.#options.bounds().countsSockets ? kernel : 0);
    this.#visits.note(visit, Math.max(0, kept - limits.freeBytes));
    visit.isReady = kernel > 0;
    if (read > 0) visit.begunAt ??= this.#options.now();
    if (read > limits.handshakeBytesMax) this.#end(visit, "HANDSHAKE_SIZE");
  }

  /** One whose answer is still unread is not late: we are. */
  #judge(visit: Visit): void {
    const { begunAt, isReady, deadline } = visit;
    const late = this.#options.now() - (begunAt ?? Infinity) > this.#options.replyMsMax;
    if (late && !isReady) deadline?.expire();
  }

  #relieve(): void {
    while (this.bytes > this.#options.bounds().unverifiedBytesMax) {
      if (!this.#end(this.#visits.largest(), "UNVERIFIED_MEMORY")) return;
      this.#options.refused("UNVERIFIED_MEMORY");
    }
  }

  /** False if there is none to end. */
  #end(visit: Visit | null, fault: Fault): boolean {
    if (visit === null) return false;
    this.leave(visit);
    visit.leg.terminate(fault);
    return true;
  }
}

/** The more there are, the less often: a check costs a microsecond each. */
function lookMs(count: number): number {
  const { lookEachMs, lookMsMin, lookMsMax } = limits;
  return Math.min(lookMsMax, Math.max(lookMsMin, count * lookEachMs));
}
