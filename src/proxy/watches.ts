/** Periodic checks: of the process, of the kernel's conntrack table, and of live connections. */

import { Metrics } from "../connection/metrics.ts";
import { measureProcess } from "../status/process-metrics.ts";
import { type Context } from "../context.ts";
import { watchAges } from "../connection/age.ts";
import { readTracked, watchTracked } from "../status/conntrack.ts";
import { watchIdle } from "../connection/idle.ts";
import { Memory } from "../connection/memory.ts";
import { trimWhenIdle } from "./trim.ts";
import type { Log } from "../runtime/log/log.ts";

/** Watches the process and the kernel's conntrack table. Returns a function that ends this. */
export function watchSurroundings(log: Log, metrics: Metrics): () => void {
  const help = "connections that the kernel tracks in this network namespace, and how many it may";
  metrics.gauge("tproxy_conntrack_entries", help, () => readTracked()?.entries ?? 0);
  metrics.gauge("tproxy_conntrack_entries_max", help, () => readTracked()?.max ?? 0);
  const watches = [measureProcess(metrics), watchTracked(log)];
  return () => {
    for (const stop of watches) stop();
  };
}

/**
 * Ends idle and old connections, plans with the available memory, and returns memory when idle. Returns a function
 * that ends this.
 */
export function watchConnections({ registry, limits, held }: Context, memory: Memory): () => void {
  const watches = [watchAges(registry, limits), trimWhenIdle(registry)];
  const changed = (): void => {
    held.resize(memory.budget.heldBytesMax);
  };
  watches.push(memory.watch(changed));
  if (limits.idleMsMax !== null) watches.push(watchIdle(registry, limits.idleMsMax));
  return () => {
    for (const stop of watches) stop();
  };
}
