/** LimitRefusals by a limit: each is counted, and logged once a minute with the number since. */
import { expect, test } from "bun:test";

import { Metrics } from "../../../src/connection/metrics.ts";
import { refusalLimits, LimitRefusals } from "../../../src/connection/limit-refusals.ts";
import type { Log } from "../../../src/runtime/log/log.ts";

function make(): {
  refusals: LimitRefusals;
  metrics: Metrics;
  lines: string[];
  clock: { ms: number };
} {
  const metrics = new Metrics("new");
  const lines: string[] = [];
  const clock = { ms: 1000 };
  const log: Log = {
    verbosity: 0,
    write: (severity, _, message) => {
      lines.push(`${severity} ${message}`);
    },
    writeMade: () => undefined,
    end: async () => undefined,
  };
  return {
    refusals: new LimitRefusals({ log, metrics, now: () => clock.ms }),
    metrics,
    lines,
    clock,
  };
}

test("the first refusal of a minute is logged with the number of earlier ones", () => {
  const { refusals, lines, clock } = make();
  for (let turn = 0; turn < 5; turn += 1) refusals.refuse("connections");
  expect(lines).toHaveLength(1);
  clock.ms += 60_000;
  refusals.refuse("connections");
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/^W .*--connections.*\(5 times since the last such line\)$/);
});

test("each limit has a counter, and a log line that names an option and a remedy", async () => {
  const { refusals, metrics, lines } = make();
  for (const limit of refusalLimits) refusals.refuse(limit);
  expect(lines).toHaveLength(refusalLimits.length);
  for (const line of lines) expect(line).toMatch(/^W .*--(connections|memory|handshakes)/);
  const text = await metrics.text();
  for (const limit of refusalLimits)
    expect(text).toContain(`tproxy_limit_refusals_total{limit="${limit}"} 1`);
});

test("faults caused by a limit are counted, others are not", async () => {
  const { refusals, metrics } = make();
  for (const fault of ["EMFILE", "ENFILE", "GATE_TIMEOUT", "ECONNREFUSED", ""] as const)
    refusals.refuseFault(fault);
  const text = await metrics.text();
  expect(text).toContain('tproxy_limit_refusals_total{limit="descriptors"} 2');
  expect(text).toContain('tproxy_limit_refusals_total{limit="handshakes"} 1');
});
