/** The answers of the status address: /readyz, its notes, and metrics. */
import type { Restorer } from "./standing-rules.ts";
import { Drain } from "../connection/drain.ts";
import { rulesChanged, restart } from "./repairs.ts";

import { Metrics } from "../connection/metrics.ts";
import { serveStatus } from "../status/server.ts";
import { type InForce } from "../reload/in-force.ts";
import type { RuleWatch } from "../intercept/kernel/watch.ts";
import { PreexistingWatch } from "../intercept/cleartext/report.ts";
import { repairProcessGone } from "../intercept/repair/events.ts";
import type { Log } from "../runtime/log/log.ts";
import { seldom } from "../runtime/log/seldom.ts";
import type { Listener } from "../net/listener.ts";
import { isSource, type Probes } from "../probe/probe.ts";

export type StatusParts = {
  readonly inForce: InForce;
  readonly listeners: readonly Listener[];
  readonly watch: RuleWatch;
  /** Known once the start has settled them. */
  readonly preexisting: () => PreexistingWatch;
  readonly restorer: Restorer | null;
  readonly drain: Drain;
  readonly metrics: Metrics;
  readonly probes: Probes;
  readonly log: Log;
};

/** Returns a function that ends it. */
export function startStatus(fd: number, parts: StatusParts): () => void {
  const { metrics, log, probes } = parts;
  measure(parts);
  const warn = seldom((source: string) => {
    log.write("W", "status", `too many requests, the last one from ${source}: ${tooMany}`);
  });
  const server = serveStatus({
    fd,
    readiness: () => reasonsOf(parts),
    notes: () => notesOf(parts),
    metrics: async () => ({
      status: 200,
      type: metrics.contentType,
      body: await metrics.text(),
    }),
    isProbeSource: (address) => isSource(probes, address),
    refused: (source) => {
      warn(source);
    },
  });
  return server.stop;
}

function measure({ metrics, inForce, preexisting, watch }: StatusParts): void {
  metrics.gauge(
    "tproxy_identity_cert_expiration_timestamp_seconds",
    "when the certificate expires",
    () => inForce.credentials.notAfter / 1000,
  );
  const help = "connections from before the start that are still open in cleartext";
  metrics.gauge("tproxy_preexisting_cleartext_connections", help, () => preexisting().count);
  metrics.gauge("tproxy_rules_intact", "1 if the rules are as the proxy wrote them", () =>
    Number(watch.intact),
  );
}

/** The obstacles to readiness, in words; empty if the proxy is ready. */
function reasonsOf({ inForce, listeners, watch, drain }: StatusParts): readonly string[] {
  const { notAfter } = inForce.credentials;
  return [
    drain.isUnderWay ? "draining: the proxy received a signal to end" : null,
    Date.now() > notAfter ? `certificate has expired at ${iso(notAfter)}: ${renew}` : null,
    listeners.every((listener) => listener.alive()) ? null : "a listener is gone",
    watch.intact ? null : `${rulesChanged}: ${restart}`,
  ].filter((reason) => reason !== null);
}

/** Remarks that do not affect readiness. */
function notesOf({ preexisting, restorer }: StatusParts): readonly string[] {
  const gone = restorer === null || restorer.link.alive ? null : repairProcessGone;
  return [preexisting().note, gone].filter((note) => note !== null);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

const tooMany =
  "they are reset (--status-address). Keep strangers from this port, and name the kubelet's addresses by --probe-source";
const renew = "renew it; the proxy reads the new files without a restart";
