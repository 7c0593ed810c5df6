/** The process's own use, under Prometheus' usual names, and the delay of its event loop. */
import { readdirSync } from "node:fs";

import { Ticker } from "../runtime/deadline.ts";
import { descriptorsMax } from "../native/limits.ts";
import type { Metrics } from "../connection/metrics.ts";

/** Returns a function that ends the measuring. */
export function measureProcess(metrics: Metrics): () => void {
  metrics.total("process_cpu_seconds_total", "CPU time of user and system", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const gauges: readonly (readonly [string, string, () => number])[] = [
    ["process_resident_memory_bytes", "memory in RAM", () => process.memoryUsage.rss()],
    ["process_open_fds", "open descriptors", () => readdirSync("/proc/self/fd").length - 1],
    ["process_max_fds", "descriptors allowed", descriptorsMax],
    ["process_start_time_seconds", "since 1970", () => performance.timeOrigin / 1000],
  ];
  for (const [name, help, read] of gauges) metrics.gauge(name, help, read);
  return measureLag(metrics);
}

/** How late a timer fires: the time that a connection waits when the loop is busy. */
function measureLag(metrics: Metrics): () => void {
  const observe = metrics.histogram(
    "tproxy_event_loop_lag_seconds",
    "how late the event loop runs, looked at twice a second",
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  );
  let expected = performance.now() + everyMs;
  const ticker = new Ticker(everyMs, () => {
    const now = performance.now();
    observe(Math.max(0, now - expected) / 1000);
    expected = now + everyMs;
  });
  return () => {
    ticker.stop();
  };
}

const everyMs = 500;
