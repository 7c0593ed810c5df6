/** The live connections: each is opened here once and closed once. */
import type { Log } from "../runtime/log/log.ts";
import type { Fault } from "../net/fault.ts";
import type { Intercepted } from "../relay/intercepted.ts";
import type { PlainMode } from "../policy/policy.ts";
import { acceptLine, accessFields, accessLine, plainLine } from "./access-log.ts";
import { Counts } from "./counts.ts";
import type { Metrics } from "./metrics.ts";
import type { RefusalLimit, LimitRefusals } from "./limit-refusals.ts";
import { ConnectionRecord, type Connected, type Direction, type Authenticated } from "./record.ts";

export type RegistryOptions = {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly refusals: LimitRefusals;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** When our own certificate expires, in milliseconds since 1970. */
  readonly ownNotAfter: () => number;
};

export class ConnectionRegistry {
  readonly #live = new Set<ConnectionRecord>();
  readonly #options: RegistryOptions;
  /** Inbound connections: unauthenticated ones by source address, others by verified identity. */
  readonly #sources = new Counts();
  readonly #holders = new Counts();
  #inbound = 0;
  #strangers = 0;
  #opened = 0;
  #emptied = Promise.withResolvers<void>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    options.metrics.includeLive(this.#live);
  }

  get size(): number {
    return this.#live.size;
  }

  get inbound(): number {
    return this.#inbound;
  }

  /** Unauthenticated connections of one source: `sourceKey`. */
  ofSource(source: string): number {
    return this.#sources.of(source);
  }

  /** Inbound connections of the peer named in this one's certificate, including itself. */
  ofHolder({ holder }: ConnectionRecord): number {
    return this.#holders.of(holder);
  }

  /** Inbound connections whose peer is not verified yet. */
  get strangers(): number {
    return this.#strangers;
  }

  /** Grows with all activity of connections: if it is unchanged, nothing has happened. */
  get work(): number {
    let sum = this.#opened;
    for (const record of this.#live) sum += record.bytes;
    return sum;
  }

  get live(): Iterable<ConnectionRecord> {
    return this.#live;
  }

  open(direction: Direction, intercepted: Intercepted): ConnectionRecord {
    const { log, metrics, now } = this.#options;
    const times = { now: now(), ownNotAfter: this.#options.ownNotAfter() };
    const record = new ConnectionRecord(direction, intercepted, times);
    this.#live.add(record);
    this.#opened += 1;
    if (direction === "inbound") {
      this.#strangers += 1;
      this.#inbound += 1;
      this.#sources.add(record.source);
    }
    metrics.opened(direction);
    if (log.verbosity > 0) log.write("I", direction, acceptLine(record));
    return record;
  }

  /** The peer is verified. */
  authenticated(record: ConnectionRecord, peer: Authenticated): void {
    const wasStranger = record.isStranger;
    record.authenticated(peer, this.#options.now());
    if (!wasStranger) return;
    this.#strangers -= 1;
    this.#sources.remove(record.source);
    this.#holders.add(record.holder);
  }

  /** The peer speaks cleartext, and the port's mode admits it. One that ends without data identifies no one. */
  admittedPlaintext(record: ConnectionRecord, mode: PlainMode, speaks: boolean): void {
    record.plain = mode;
    if (!speaks) return;
    const { log, metrics } = this.#options;
    metrics.plain(mode);
    if (mode === "audit") log.write("W", "inbound", plainLine(record), { plaintext: mode });
  }

  /** The application has been reached, with this source address. */
  connected(record: ConnectionRecord, { leg, seen }: Connected): void {
    record.relay(leg);
    this.#options.metrics.seen(seen);
  }

  /** Resets those for which `fits` is true; returns how many. */
  terminateWhere(fault: Fault, fits: (record: ConnectionRecord) => boolean): number {
    const found = [...this.#live].filter((record) => !record.downstream.closed && fits(record));
    for (const record of found) record.downstream.terminate(fault);
    return found.length;
  }

  /** Counts one that is not admitted. */
  rejectedOverLimit(direction: Direction, limit: RefusalLimit): void {
    this.#options.metrics.rejectedOverLimit(direction);
    this.#options.refusals.refuse(limit);
  }

  /** Logs the connection's line. Closing twice is a bug and throws. */
  close(record: ConnectionRecord): void {
    if (!this.#live.delete(record)) throw new Error("a connection's record was closed twice");
    this.#forget(record);
    const { log, metrics } = this.#options;
    const now = this.#options.now();
    metrics.closed(record);
    log.writeMade("I", record.direction, {
      message: () => accessLine(record, now),
      fields: () => accessFields(record, now),
    });
    if (this.#live.size > 0) return;
    this.#emptied.resolve();
    this.#emptied = Promise.withResolvers();
  }

  #forget(record: ConnectionRecord): void {
    if (record.direction === "outbound") return;
    this.#inbound -= 1;
    if (record.isStranger) {
      this.#strangers -= 1;
      this.#sources.remove(record.source);
    } else this.#holders.remove(record.holder);
  }

  /** Resolves when no connection is live. */
  async empty(): Promise<void> {
    if (this.#live.size > 0) await this.#emptied.promise;
  }

  /** Resets the remaining ones, at the deadline of a drain. */
  terminateAll(): void {
    this.terminateWhere("DRAINED", () => true);
  }
}
