/** The metrics: names as Prometheus recommends, labels only from closed lists. */
import type { Counter } from "prom-client";

import { factsOf } from "../net/fault.ts";
import { handshakeFailures } from "../tls/failure.ts";
import type { PlainMode } from "../policy/policy.ts";
import { probeRefusals } from "../probe/judge.ts";
import { probeKinds } from "../probe/probe.ts";
import { refusalOf } from "../detect/screening.ts";
import { sourceReasons } from "../original-source/candidates.ts";
import type { Seen } from "../original-source/connect.ts";
import { howLabel, reasonLabel, type MetricsNames } from "./metric-names.ts";
import { MetricRegistry } from "./metric-registry.ts";
import { endingOf, type ConnectionRecord, type Direction } from "./record.ts";

/** How connections end. The proxy itself ends those from `revoked` to `limit`, as net/fault.ts says. */
export const hows = [
  "clean",
  "cut",
  "denied",
  "refused",
  "unreached",
  "revoked",
  "rules-changed",
  "aged",
  "idle",
  "drained",
  "limit",
  "internal",
] as const;
export type How = (typeof hows)[number];

/** Bytes as the proxy reads and writes them: `src` is the accepted leg, `dst` the dialled one. */
type Bytes = { read: number; written: number };

/** Counts connections for /metrics. Numbers of live connections are read at each scrape. */
export class Metrics {
  readonly #registry: MetricRegistry;
  readonly #names: MetricsNames;
  readonly #of: ReturnType<typeof connectionMetrics>;
  readonly #ended = new Map<string, Bytes>();
  #live: Iterable<ConnectionRecord> = [];

  constructor(names: MetricsNames) {
    this.#names = names;
    this.#registry = new MetricRegistry(names);
    this.#of = connectionMetrics(this.#registry, names);
    this.#bytes("tproxy_tcp_read_bytes_total", "bytes read", "read");
    this.#bytes("tproxy_tcp_write_bytes_total", "bytes written", "written");
  }

  /** Live connections, whose bytes count too. */
  includeLive(live: Iterable<ConnectionRecord>): void {
    this.#live = live;
  }

  opened(direction: Direction): void {
    this.#of.opened.inc({ direction });
    this.#of.open.inc({ direction });
  }

  closed(record: ConnectionRecord): void {
    const { direction, handshakeMs, resumed, outcome } = record;
    this.#of.open.dec({ direction });
    this.#of.closed.inc({ direction, how: howLabel(howOf(record), this.#names) });
    if (handshakeMs !== null) this.#of.handshakes.observe({ direction }, handshakeMs / 1000);
    if (resumed) this.#of.resumptions.inc({ direction });
    if ("failure" in outcome && outcome.failure !== null)
      this.#of.failures.inc({ direction, reason: reasonLabel(outcome.failure, this.#names) });
    addBytes(this.#ended, record);
    this.#probed(record);
  }

  #probed({ probe, outcome }: ConnectionRecord): void {
    if (probe === null) return;
    const { kind } = probe;
    const reason = refusalOf(probe, outcome.kind === "unreached");
    if (reason === null) this.#of.probes.inc({ kind, outcome: "passed", reason: "declared" });
    else this.#of.probes.inc({ kind, outcome: "refused", reason });
  }

  /** Admitted cleartext. */
  plain(mode: PlainMode): void {
    this.#of.plain.inc({ mode });
  }

  /** The client address presented to an application. */
  seen({ kept, reason }: Seen): void {
    this.#of.seen.inc({ kept, reason: reasonLabel(reason, this.#names) });
  }

  /** A connection beyond a limit. */
  rejectedOverLimit(direction: Direction): void {
    this.#of.opened.inc({ direction });
    this.#of.closed.inc({ direction, how: howLabel("limit", this.#names) });
  }

  /** A number that is read at every scrape. */
  gauge(name: string, help: string, read: () => number): void {
    const gauge = this.#registry.gauge(name, help, [], () => {
      gauge.set(read());
    });
  }

  /** Like `gauge`, for a number that only grows. */
  total(name: string, help: string, read: () => number): void {
    const counter = this.#registry.counter(name, help, [], () => {
      counter.reset();
      counter.inc(read());
    });
  }

  /** A counter with one label from a closed list of values; returns its increment function. */
  counter<T extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly T[],
  ): (value: T) => void {
    const counter = this.#registry.counter(name, help, [label]);
    for (const value of values) counter.inc({ [label]: value }, 0);
    return (value) => {
      counter.inc({ [label]: value });
    };
  }

  /** A histogram of durations in seconds; returns its observe function. */
  histogram(name: string, help: string, buckets: readonly number[]): (seconds: number) => void {
    const histogram = this.#registry.histogram(name, help, [], buckets);
    return (seconds) => {
      histogram.observe(seconds);
    };
  }

  async text(): Promise<string> {
    return await this.#registry.text();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #bytes(name: string, help: string, kind: keyof Bytes): void {
    const counter = this.#registry.counter(name, help, ["direction", "peer"], () => {
      const sums = new Map([...this.#ended].map(([leg, bytes]) => [leg, { ...bytes }]));
      for (const record of this.#live) addBytes(sums, record);
      counter.reset();
      for (const direction of ["inbound", "outbound"])
        for (const peer of ["src", "dst"])
          counter.inc({ direction, peer }, sums.get(`${direction} ${peer}`)?.[kind] ?? 0);
    });
  }
}

/** The metrics of every connection, initialised to 0 for all values of all labels. */
function connectionMetrics(registry: MetricRegistry, names: MetricsNames) {
  const opened = registry.counter("tproxy_tcp_open_total", "accepted connections", ["direction"]);
  const open = registry.gauge("tproxy_tcp_open_connections", "open connections", ["direction"]);
  const closed = registry.counter("tproxy_tcp_close_total", "ended connections, by how", [
    "direction",
    "how",
  ]);
  for (const direction of ["inbound", "outbound"] as const) {
    opened.inc({ direction }, 0);
    open.set({ direction }, 0);
    for (const how of hows) closed.inc({ direction, how: howLabel(how, names) }, 0);
  }
  return {
    opened,
    open,
    closed,
    ...handshakeMetrics(registry, names),
    plain: plainMetric(registry),
    seen: seenMetric(registry, names),
    probes: probeMetric(registry),
  };
}

function handshakeMetrics(registry: MetricRegistry, names: MetricsNames) {
  const handshakes = registry.histogram(
    "tproxy_handshake_seconds",
    "time from accepting a connection until its peer is verified",
    ["direction"],
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );
  const resumptions = registry.counter(
    "tproxy_handshake_resumptions_total",
    "TLS handshakes that resumed a session",
    ["direction"],
  );
  const failures = registry.counter("tproxy_handshake_failures_total", "failed TLS handshakes", [
    "direction",
    "reason",
  ]);
  for (const direction of ["inbound", "outbound"] as const) {
    handshakes.zero({ direction });
    resumptions.inc({ direction }, 0);
    for (const failure of handshakeFailures)
      failures.inc({ direction, reason: reasonLabel(failure, names) }, 0);
  }
  return { handshakes, resumptions, failures };
}

function plainMetric(registry: MetricRegistry): Counter {
  const help = "plain text connections that an audit or permissive port admitted";
  const plain = registry.counter("tproxy_plaintext_connections_total", help, ["mode"]);
  for (const mode of ["audit", "permissive"]) plain.inc({ mode }, 0);
  return plain;
}

function seenMetric(registry: MetricRegistry, names: MetricsNames): Counter {
  const help =
    "inbound connections by what the application sees of the client's address, and why not more";
  const seen = registry.counter("tproxy_source_address_total", help, ["kept", "reason"]);
  for (const reason of sourceReasons)
    seen.inc({ kept: "none", reason: reasonLabel(reason, names) }, 0);
  for (const kept of ["ip-port", "ip"]) seen.inc({ kept, reason: "as-asked" }, 0);
  return seen;
}

function probeMetric(registry: MetricRegistry): Counter {
  const help = "requests from the node in cleartext on a declared port, if the proxy reads them";
  const probes = registry.counter("tproxy_probes_total", help, ["kind", "outcome", "reason"]);
  for (const kind of probeKinds) {
    probes.inc({ kind, outcome: "passed", reason: "declared" }, 0);
    for (const reason of probeRefusals) probes.inc({ kind, outcome: "refused", reason }, 0);
  }
  return probes;
}

function howOf(record: ConnectionRecord): How {
  const { outcome, downstream } = record;
  const ended = factsOf(downstream.fault);
  if (ended !== undefined && "how" in ended) return ended.how;
  switch (outcome.kind) {
    case "unsettled":
      return "internal";
    case "relayed":
      return endingOf(record, outcome.upstream) === "clean" ? "clean" : "cut";
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
