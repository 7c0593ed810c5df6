/**
 * Peers whose handshakes are in progress. Each may make the TLS library buffer a hundred kilobytes, and the kernel
 * unread bytes, for as long as --handshake-timeout: so only a few handshakes run at once, the others wait unread, and
 * when memory is short the connection that holds most is closed first.
 */
import { unverifiedLimits as limits } from "../config.ts";
import { Deadline } from "../runtime/deadline.ts";
import * as native from "../native/native.ts";
import type { Fault } from "../net/fault.ts";
import { HandshakeDeadline } from "../relay/handshake-deadline.ts";
import type { Leg } from "../relay/leg.ts";
import { crowdOf, greediest, heaviest, type Group } from "./eviction.ts";

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

/** The origin of a connection: `sourceKey` and `hostKey` of an address. */
export type VisitOrigin = { readonly source: string; readonly host: string };

/** One peer between accept(2) and the verdict. */
export class Visit {
  readonly leg: Leg;
  readonly source: string;
  /** The whole address, if a source has several. */
  readonly host: string;
  readonly since: number;
  /** The bytes that it holds beyond its base allowance. */
  bytes = 0;
  /** When its handshake got a place; null without one. */
  placedAt: number | null = null;
  /** When bytes of its handshake were first seen to be read. */
  begunAt: number | null = null;
  /** Unread data is pending in the kernel. */
  isReady = false;
  /** It had a place before, so it continues where it stopped. */
  wasPlaced = false;
  isWaiting = false;
  /** The handshake's deadline, once it has started. */
  deadline: HandshakeDeadline | null = null;
  /** Wakes the pending turn(). */
  resolve: (() => void) | null = null;

  constructor(leg: Leg, { source, host }: VisitOrigin, since: number) {
    this.leg = leg;
    this.source = source;
    this.host = host;
    this.since = since;
  }
}

/** Sources take turns; a source is an IPv4 address, or the first half of an IPv6 address. */
export class Unverified {
  readonly #options: UnverifiedOptions;
  readonly #groups = new Map<string, Group<Visit>>();
  /** Those without a place, by source, the next one to be served first. */
  readonly #waiting = new Map<string, Set<Visit>>();
  #size = 0;
  #placed = 0;
  #isLooking = false;
  /** The last check has skipped some. */
  #hasSkipped = false;
  #fds = new Int32Array(64);
  #seen = new Uint32Array(128);

  constructor(options: UnverifiedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** What all of them hold beyond their base allowances, at the last check. */
  get bytes(): number {
    let sum = 0;
    for (const group of this.#groups.values()) sum += group.bytes;
    return sum;
  }

  sizeOf(source: string): number {
    return this.#groups.get(source)?.members.size ?? 0;
  }

  enter(leg: Leg, origin: VisitOrigin): Visit {
    const { source } = origin;
    const visit = new Visit(leg, origin, this.#options.now());
    const group = this.#groups.get(source) ?? { members: new Set(), bytes: 0 };
    this.#groups.set(source, group);
    group.members.add(visit);
    this.#size += 1;
    if (!this.#isLooking) this.#lookLater();
    return visit;
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

  /** The peer is verified, refused or gone. A second call does no harm. */
  leave(visit: Visit): void {
    const group = this.#groups.get(visit.source);
    if (group?.members.delete(visit) !== true) return;
    group.bytes -= visit.bytes;
    if (group.members.size === 0) this.#groups.delete(visit.source);
    this.#size -= 1;
    this.#unwait(visit);
    visit.resolve?.();
    if (visit.placedAt === null) return;
    this.#placed -= 1;
    this.#admit();
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
    const { source } = origin;
    const group = heaviest(this.#groups.values(), limits.baseBytes);
    if (group === undefined) return false;
    if (this.#isOf(group, source)) return this.makeRoomWithin(origin);
    const isHeavier = group.members.size > this.sizeOf(source) + 1;
    return this.#evict(isHeavier ? group.members : this.#old(group));
  }

  /** Like `makeRoom`, within the same source. */
  makeRoomWithin({ source, host }: VisitOrigin): boolean {
    this.#catchUp();
    const group = this.#groups.get(source);
    if (group === undefined) return false;
    return this.#evict(crowdOf(group.members, host) ?? this.#old(group));
  }

  #isOf(group: Group<Visit>, source: string): boolean {
    return this.#groups.get(source) === group;
  }

  *#old({ members }: Group<Visit>): Iterable<Visit> {
    const before = this.#options.now() - limits.graceMs;
    for (const visit of members) if (visit.since <= before) yield visit;
  }

  #evict(members: Iterable<Visit>, fault: Fault = "EVICTED"): boolean {
    const visit = greediest(members);
    if (visit !== null) this.#end(visit, fault);
    return visit !== null;
  }

  #free(): number {
    return this.#options.bounds().handshakesMax - this.#placed;
  }

  #take(visit: Visit): void {
    this.#placed += 1;
    visit.placedAt = this.#options.now();
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

  /** Keeps checking as long as there are visits to check. */
  #lookLater(): void {
    this.#isLooking = true;
    // oxlint-disable-next-line no-new -- it keeps itself
    new Deadline(lookMs(this.#size), () => {
      this.#isLooking = false;
      this.#look();
      if (this.#size > 0 && !this.#isLooking) this.#lookLater();
    });
  }

  #look(): void {
    const visits = this.#isCalm() ? this.#slow() : this.#visits();
    this.#hasSkipped = visits.length < this.#size;
    if (visits.length > 0) this.#measure(visits);
    for (const visit of visits) this.#judge(visit);
    this.#relieve();
    this.#park(visits);
    this.#admit();
  }

  /**
   * True if none waits for a place, and all together cannot hold more than there is room for: then no check would
   * close one. Each check costs three system calls per socket, and most handshakes end before the next one.
   */
  #isCalm(): boolean {
    const bytesMax = this.#size * limits.handshakeBytesMax;
    return this.#waiting.size === 0 && bytesMax <= this.#options.bounds().unverifiedBytesMax;
  }

  #visits(): readonly Visit[] {
    const visits: Visit[] = [];
    for (const { members } of this.#groups.values())
      for (const visit of members) visits.push(visit);
    return visits;
  }

  /** Those with long handshakes: to enforce their deadlines, and the limit on what they may send in all. */
  #slow(): readonly Visit[] {
    const before = this.#options.now() - limits.calmMs;
    return this.#visits().filter(({ since }) => since <= before);
  }

  /** The choice of which to close considers what all of them hold. */
  #catchUp(): void {
    if (!this.#hasSkipped) return;
    this.#hasSkipped = false;
    this.#measure(this.#visits());
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
    const bytes = Math.max(0, kept - limits.freeBytes);
    const group = this.#groups.get(visit.source);
    if (group !== undefined) group.bytes += bytes - visit.bytes;
    visit.bytes = bytes;
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

  #end(visit: Visit, fault: Fault): void {
    this.leave(visit);
    visit.leg.terminate(fault);
  }

  #relieve(): void {
    for (
      let { bytes } = this;
      bytes > this.#options.bounds().unverifiedBytesMax;
      { bytes } = this
    ) {
      const group = heaviest(this.#groups.values(), 0);
      if (group === undefined || !this.#evict(group.members, "UNVERIFIED_MEMORY")) return;
      this.#options.refused("UNVERIFIED_MEMORY");
    }
  }

  /** Handshakes that take longer than others can wait are paused. */
  #park(visits: readonly Visit[]): void {
    const ready = visits.filter(({ isWaiting, isReady }) => isWaiting && isReady).length;
    let wanted = ready - Math.max(0, this.#free());
    const before = this.#options.now() - limits.leaseMsMax;
    for (const visit of visits) {
      if (wanted <= 0) return;
      const { placedAt, leg } = visit;
      if (placedAt === null || placedAt > before || leg.closed) continue;
      visit.placedAt = null;
      visit.wasPlaced = true;
      this.#placed -= 1;
      leg.pause();
      this.#wait(visit);
      wanted -= 1;
    }
  }

  #admit(): void {
    while (this.#free() > 0) {
      const visit = this.#next();
      if (visit === null) return;
      this.#take(visit);
      visit.resolve?.();
      visit.resolve = null;
      if (visit.wasPlaced) visit.leg.resume();
    }
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

/** The more there are, the less often: a check costs a microsecond each. */
function lookMs(count: number): number {
  const { lookEachMs, lookMsMin, lookMsMax } = limits;
  return Math.min(lookMsMax, Math.max(lookMsMin, count * lookEachMs));
}
