/** Refusals by a limit: counted by limit, and logged once a minute with the remedy. */
import { factsOf, type Fault } from "../net/fault.ts";
import type { Log } from "../runtime/log/log.ts";
import type { Metrics } from "./metrics.ts";

/** A closed list, so that no data from a peer becomes a metric label. */
export const refusalLimits = [
  "connections",
  "unverified",
  "share",
  "unverified-memory",
  "held-memory",
  "descriptors",
  "handshakes",
] as const;
export type RefusalLimit = (typeof refusalLimits)[number];

export type LimitRefusalsOptions = {
  readonly log: Log;
  readonly metrics: Metrics;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
};

type LastReport = { readonly until: number; count: number };

export class LimitRefusals {
  readonly #options: LimitRefusalsOptions;
  readonly #count: (limit: RefusalLimit) => void;
  readonly #reports = new Map<RefusalLimit, LastReport>();

  constructor(options: LimitRefusalsOptions) {
    this.#options = options;
    this.#count = options.metrics.counter(
      "tproxy_limit_refusals_total",
      "connections that were refused or ended because a limit was reached",
      "limit",
      refusalLimits,
    );
  }

  refuse(limit: RefusalLimit): void {
    this.#count(limit);
    const { log, now } = this.#options;
    const last = this.#reports.get(limit);
    if (last !== undefined) last.count += 1;
    if (last !== undefined && now() < last.until) return;
    const more = last === undefined ? "" : ` (${last.count} times since the last such line)`;
    this.#reports.set(limit, { until: now() + everyMs, count: 0 });
    log.write("W", "limits", `${texts[limit]}${more}`, { limit });
  }

  /** Counts a connection that was ended, or not made, if a limit is to blame. */
  refuseFault(fault: Fault): void {
    const limit = limitOf(fault);
    if (limit !== null) this.refuse(limit);
  }
}

const everyMs = 60_000;

function limitOf(fault: Fault): RefusalLimit | null {
  const facts = factsOf(fault);
  return facts !== undefined && "limit" in facts ? facts.limit : null;
}

const texts: Readonly<Record<RefusalLimit, string>> = {
  connections:
    "connections are reset: there are as many as --connections, descriptors (ulimit -n) and memory (--memory) allow. " +
    "Raise what the first lines of the log name, or find out who holds them: ss -tn",
  unverified:
    "inbound connections are reset: half of --connections are still in their handshake. The source that " +
    "holds the most makes room for new ones. Close the ports to strangers (a network policy), or raise --connections",
  share:
    "inbound connections are reset: one peer or one source address has nearly all places, and few are free. Let it use " +
    "fewer connections, or raise --connections",
  "unverified-memory":
    "inbound connections are reset during their handshakes: peers that are not verified send more than memory has room " +
    "for. Close the ports to strangers (a network policy), or raise the container's memory limit (--memory)",
  "held-memory":
    "connections are reset: their readers have stopped, and what is held for them is more than memory has room for. The " +
    "peer that has most held goes first. Find out why it does not read, or raise the container's memory limit (--memory)",
  descriptors:
    "connections fail because no descriptors are left: raise the limit (ulimit -n, LimitNOFILE= in systemd), or lower --connections",
  handshakes:
    "outbound connections fail: their TLS handshakes waited for longer than --handshake-timeout for those before them. " +
    "Raise --handshakes, or find out why the destinations answer slowly",
};
