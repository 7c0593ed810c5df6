/** The live connections: every one is opened here once and closed once. */
import type { PeerIdentity } from "../identity/certificate.ts";
import type { Log } from "../log/log.ts";
import type { Intercepted } from "../net/listener.ts";
import { acceptLine, accessFields, accessLine } from "./access-log.ts";
import type { Metrics } from "./metrics.ts";
import { ConnectionRecord, type Direction } from "./record.ts";

export type LedgerOptions = {
  readonly log: Log;
  readonly metrics: Metrics;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
};

export class Ledger {
  readonly #live = new Set<ConnectionRecord>();
  readonly #options: LedgerOptions;
  #strangers = 0;
  #emptied = Promise.withResolvers<void>();

  constructor(options: LedgerOptions) {
    this.#options = options;
    options.metrics.watch(this.#live);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Inbound connections whose peer is not verified as yet. */
  get strangers(): number {
    return this.#strangers;
  }

  get live(): Iterable<ConnectionRecord> {
    return this.#live;
  }

  open(direction: Direction, intercepted: Intercepted): ConnectionRecord {
    const { log, metrics, now } = this.#options;
    const record = new ConnectionRecord(direction, intercepted, now());
    this.#live.add(record);
    if (direction === "inbound") this.#strangers += 1;
    metrics.opened(direction);
    if (log.verbosity > 0) log.write("I", direction, acceptLine(record));
    return record;
  }

  /** The peer is verified. */
  meet(record: ConnectionRecord, identity: PeerIdentity): void {
    if (record.direction === "inbound") this.#strangers -= 1;
    record.meet(identity, this.#options.now());
  }

  /** One that is not let in. */
  turnAway(direction: Direction): void {
    this.#options.metrics.turnedAway(direction);
  }

  /** Writes the connection's line. Closing twice is a bug and throws. */
  close(record: ConnectionRecord): void {
    if (!this.#live.delete(record)) throw new Error("a connection's record was closed twice");
    if (record.direction === "inbound" && record.identity === null) this.#strangers -= 1;
    const { log, metrics } = this.#options;
    const now = this.#options.now();
    metrics.closed(record);
    log.write("I", record.direction, accessLine(record, now), accessFields(record, now));
    if (this.#live.size > 0) return;
    this.#emptied.resolve();
    this.#emptied = Promise.withResolvers();
  }

  /** Resolves when no connection is live. */
  async empty(): Promise<void> {
    if (this.#live.size > 0) await this.#emptied.promise;
  }

  /** Ends what is left by RST: the deadline of a drain. */
  terminateAll(): void {
    for (const record of this.#live) record.downstream.terminate("DRAINED");
  }
}
