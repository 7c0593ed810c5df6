/** The metrics' former names, without the prefix `tproxy_`: `--metrics-names old`, for one release. Pure. */
import type { Config } from "../config.ts";

export type MetricsNames = Config["metricsNames"];

/** The new name for a metric without an old one. The process's own metrics have Prometheus' names in both cases. */
export function metricName(name: string, names: MetricsNames): string {
  if (names === "new" || name === buildInfo) return name;
  return renamed.get(name) ?? name.replace(/^tproxy_/, "");
}

export const buildInfo = "tproxy_build_info";

/** A value of the label `reason`. */
export function reasonLabel(reason: string, names: MetricsNames): string {
  return names === "new" ? reason : (renamedReasons.get(reason) ?? reason);
}

/** A value of the label `how`. */
export function howLabel(how: string, names: MetricsNames): string {
  return names === "new" ? how : (formerHows.get(how) ?? how);
}

/** What these counted as before they had labels of their own. */
const formerHows = new Map([
  ["idle", "cut"],
  ["drained", "cut"],
  ["rules-changed", "revoked"],
]);
const renamedReasons = new Map([
  ["ca-as-leaf", "authority-as-leaf"],
  ["bad-proxy-header", "bad-preamble"],
  ["no-return-path", "no-way-back"],
]);
const renamed = new Map([
  ["tproxy_cleartext_connections_reset_total", "clear_connections_reset_total"],
  ["tproxy_held_max_bytes", "held_bytes_max"],
  ["tproxy_repair_process_alive", "rules_keeper_alive"],
]);
