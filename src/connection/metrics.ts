/** What is counted, in Prometheus' text form: names after Linkerd's, labels from closed lists only. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

import { handshakeFailures } from "../tls/failure.ts";
import type { PlainMode } from "../policy/policy.ts";
import { refusals } from "../probe/judge.ts";
import { probeKinds } from "../probe/probe.ts";
import { refusalOf } from "../detect/screening.ts";
import { sourceReasons } from "../original-source/candidates.ts";
import type { Seen } from "../original-source/connect.ts";
import { endingOf, type ConnectionRecord, type Direction } from "./record.ts";

/**
 * How a connection came out. `limit`: it was one too many and reset unseen. `revoked`: the policy has changed.
 * `aged`: it was too old, or its certificates.
 */
const hows = [
  "clean",
  "cut",
  "denied",
  "refused",
  "unreached",
  "revoked",
  "aged",
  "limit",
  "internal",
] as const;
export type How = (typeof hows)[number];

/** Bytes as the proxy reads and writes them: `src` is the leg that was accepted, `dst` the one it dialed. */
type Bytes = { read: number; written: number };

/** Counts connections for /metrics. Numbers of live connections are read when they are asked for. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #ended = new Map<string, Bytes>();
  #live: Iterable<ConnectionRecord> = [];

  readonly #opened = this.#counter("tcp_open_total", "connections accepted", ["direction"]);
  readonly #closed = this.#counter("tcp_close_total", "connections ended, by how", [
    "direction",
    "how",
  ]);
  readonly #failures = this.#counter("handshake_failures_total", "TLS handshakes that failed", [
    "direction",
    "reason",
  ]);
  readonly #resumptions = this.#counter(
    "handshake_resumptions_total",
    "TLS handshakes that resumed a session, of those that handshake_seconds counts",
    ["direction"],
  );
  readonly #plain = this.#counter(
    "plaintext_connections_total",
    "connections in plain text that an audit or permissive port has let in",
    ["mode"],
  );
  readonly #seen = this.#counter(
    "source_address_total",
    "inbound connections, by what of the client's address the application sees, and why not more",
    ["kept", "reason"],
  );
  readonly #probes = this.#counter(
    "probes_total",
    "what the node has asked in cleartext on a declared port, as far as the proxy reads it",
    ["kind", "outcome", "reason"],
  );
  readonly #open = new Gauge({
    name: "tcp_open_connections",
    help: "connections that are open now",
    labelNames: ["direction"],
    registers: [this.#registry],
  });
  readonly #handshakes = new Histogram({
    name: "handshake_seconds",
    help: "from accepting a connection until its peer was verified",
    labelNames: ["direction"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.#registry],
  });

  constructor() {
    this.#bytes("tcp_read_bytes_total", "bytes read", "read");
    this.#bytes("tcp_write_bytes_total", "bytes written", "written");
    for (const reason of sourceReasons) this.#seen.inc({ kept: "none", reason }, 0);
    for (const kept of ["ip-port", "ip"]) this.#seen.inc({ kept, reason: "as-asked" }, 0);
    for (const mode of ["audit", "permissive"]) this.#plain.inc({ mode }, 0);
    for (const kind of probeKinds) {
      this.#probes.inc({ kind, outcome: "passed", reason: "declared" }, 0);
      for (const reason of refusals) this.#probes.inc({ kind, outcome: "refused", reason }, 0);
    }
    for (const direction of ["inbound", "outbound"] as const) {
      this.#opened.inc({ direction }, 0);
      this.#open.set({ direction }, 0);
      this.#handshakes.zero({ direction });
      this.#resumptions.inc({ direction }, 0);
      for (const how of hows) this.#closed.inc({ direction, how }, 0);
      for (const reason of handshakeFailures) this.#failures.inc({ direction, reason }, 0);
    }
  }

  /** The live connections, whose bytes count too. */
  watch(live: Iterable<ConnectionRecord>): void {
    this.#live = live;
  }

  opened(direction: Direction): void {
    this.#opened.inc({ direction });
    this.#open.inc({ direction });
  }

  closed(record: ConnectionRecord): void {
    const { direction, handshakeMs, resumed, outcome } = record;
    this.#open.dec({ direction });
    this.#closed.inc({ direction, how: howOf(record) });
    if (handshakeMs !== null) this.#handshakes.observe({ direction }, handshakeMs / 1000);
    if (resumed) this.#resumptions.inc({ direction });
    if ("failure" in outcome && outcome.failure !== null)
      this.#failures.inc({ direction, reason: outcome.failure });
    addBytes(this.#ended, record);
    this.#probed(record);
  }

  #probed({ probe, outcome }: ConnectionRecord): void {
    if (probe === null) return;
    const { kind } = probe;
    const reason = refusalOf(probe, outcome.kind === "unreached");
    if (reason === null) this.#probes.inc({ kind, outcome: "passed", reason: "declared" });
    else this.#probes.inc({ kind, outcome: "refused", reason });
  }

  /** Plain text that was let in. */
  plain(mode: PlainMode): void {
    this.#plain.inc({ mode });
  }

  /** As whom an application sees its client. */
  seen({ kept, reason }: Seen): void {
    this.#seen.inc({ kept, reason });
  }

  /** A connection that was one too many. */
  turnedAway(direction: Direction): void {
    this.#opened.inc({ direction });
    this.#closed.inc({ direction, how: "limit" });
  }

  /** A number that is asked for at every scrape. */
  gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect: () => {
        gauge.set(read());
      },
    });
  }

  /** As `gauge`, for a number that only grows. */
  total(name: string, help: string, read: () => number): void {
    const counter = this.#counter(name, help, [], () => {
      counter.reset();
      counter.inc(read());
    });
  }

  /** A counter by one label with a closed list of values; returns what counts. */
  counter<T extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly T[],
  ): (value: T) => void {
    const counter = this.#counter(name, help, [label]);
    for (const value of values) counter.inc({ [label]: value }, 0);
    return (value) => {
      counter.inc({ [label]: value });
    };
  }

  /** Of durations in seconds; returns what takes them. */
  histogram(name: string, help: string, buckets: readonly number[]): (seconds: number) => void {
    const of = new Histogram({ name, help, buckets: [...buckets], registers: [this.#registry] });
    return (seconds) => {
      of.observe(seconds);
    };
  }

  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #counter(name: string, help: string, labelNames: string[], collect?: () => void): Counter {
    const registers = [this.#registry];
    return new Counter({ name, help, labelNames, registers, ...(collect ? { collect } : {}) });
  }

  #bytes(name: string, help: string, kind: keyof Bytes): void {
    const counter = this.#counter(name, help, ["direction", "peer"], () => {
      const sums = new Map([...this.#ended].map(([leg, bytes]) => [leg, { ...bytes }]));
      for (const record of this.#live) addBytes(sums, record);
      counter.reset();
      for (const direction of ["inbound", "outbound"])
        for (const peer of ["src", "dst"])
          counter.inc({ direction, peer }, sums.get(`${direction} ${peer}`)?.[kind] ?? 0);
    });
  }
}

function howOf({ outcome, downstream }: ConnectionRecord): How {
  const ended = howsOfFaults.get(downstream.fault);
  if (ended !== undefined) return ended;
  switch (outcome.kind) {
    case "unsettled":
      return "internal";
    case "relayed":
      return endingOf(downstream, outcome.upstream) === "clean" ? "clean" : "cut";
    case "denied":
    case "refused":
    case "unreached":
      return outcome.kind;
  }
}

function addBytes(
  sums: Map<string, Bytes>,
  { direction, downstream, outcome }: ConnectionRecord,
): void {
  add(sums, `${direction} src`, downstream.bytesRead, downstream.bytesWritten);
  if (outcome.kind !== "relayed") return;
  const { bytesRead, bytesWritten } = outcome.upstream;
  add(sums, `${direction} dst`, bytesRead, bytesWritten);
}

function add(sums: Map<string, Bytes>, leg: string, read: number, written: number): void {
  const sum = sums.get(leg) ?? { read: 0, written: 0 };
  sum.read += read;
  sum.written += written;
  sums.set(leg, sum);
}

/** Where the proxy has ended a connection of its own accord. */
const howsOfFaults = new Map<string, How>([
  ["EVICTED", "limit"],
  ["UNVERIFIED_MEMORY", "limit"],
  ["HELD_MEMORY", "limit"],
  ["SHARE", "limit"],
  ["REVOKED", "revoked"],
  ["RULES_CHANGED", "revoked"],
  ["CERTIFICATE_AGE", "aged"],
  ["MAX_AGE", "aged"],
]);
