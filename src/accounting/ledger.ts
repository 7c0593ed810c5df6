/** The live connections: every one is opened here once and closed once. */
import type { Log } from "../log.ts";
import type { Intercepted } from "../net/listener.ts";
import { acceptLine, accessLine } from "./access-log.ts";
import { ConnectionRecord, type Direction } from "./record.ts";

export class Ledger {
  readonly #live = new Set<ConnectionRecord>();
  readonly #log: Log;
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  get size(): number {
    return this.#live.size;
  }

  open(direction: Direction, intercepted: Intercepted): ConnectionRecord {
    const record = new ConnectionRecord(direction, intercepted, this.#now());
    this.#live.add(record);
    if (this.#log.verbosity > 0) this.#log.write("I", direction, acceptLine(record));
    return record;
  }

  /** Writes the connection's line. Closing twice is a bug and throws. */
  close(record: ConnectionRecord): void {
    if (!this.#live.delete(record)) throw new Error("a connection's record was closed twice");
    this.#log.write("I", record.direction, accessLine(record, this.#now()));
  }

  /** Ends what is left by RST: the deadline of a drain. */
  terminateAll(): void {
    for (const record of this.#live) record.downstream.terminate("DRAINED");
  }
}
