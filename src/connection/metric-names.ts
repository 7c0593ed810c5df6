/** The names that metrics had before they got the prefix `tproxy_`: `--metrics-names old`, for one release. Pure. */
import type { Config } from "../config.ts";

export type MetricsNames = Config["metricsNames"];

/** Of a metric that had no old name, the new one. The process's own metrics have Prometheus' names in both. */
export function metricName(name: string, names: MetricsNames): string {
  if (names === "new" || name === buildInfo) return name;
  return renamed.get(name) ?? name.replace(/^tproxy_/, "");
}

export const buildInfo = "tproxy_build_info";

const renamed = new Map([
  ["tproxy_cleartext_connections_reset_total", "clear_connections_reset_total"],
  ["tproxy_held_max_bytes", "held_bytes_max"],
]);
