import { expect, test } from "bun:test";

import { targetsText } from "../../../scripts/bench/targets-text.ts";
import { outcomesOf, type Outcome } from "../../../scripts/bench/targets.ts";
import type { Row, Run } from "../../../scripts/bench/results.ts";
import { run, sample } from "./run.ts";

const compared = [
  { name: "none", title: "no proxy", peer: false },
  { name: "excluded", title: "excluded", peer: false },
  { name: "mtls", title: "mTLS", peer: false },
  { name: "haproxy", title: "HAProxy", peer: true },
  { name: "nginx", title: "nginx", peer: true },
];

test("a run without peers gives no verdict on the targets", () => {
  expect(outcomesOf(run, compared)).toEqual([]);
  expect(targetsText([])).toBe("");
});

test("CPU is compared with the best peer", () => {
  const outcomes = say([
    row("bulk-1-up", "mtls", { cpu: 2e-9 }),
    row("bulk-1-up", "haproxy", { cpu: 4e-9 }),
    row("bulk-1-up", "nginx", { cpu: 3e-9 }),
  ]);
  expect(outcomes).toEqual([
    {
      what: "bulk a to b, 1: CPU, s per GB",
      target: "0.75 × best peer",
      measured: 2,
      limit: 2.25,
      bestPeer: { title: "nginx", value: 3 },
      failed: 0,
    },
  ]);
});

test("eight streams are compared with one, regardless of the peers", () => {
  const outcomes = say([
    row("bulk-1-down", "mtls", { cpu: 2e-9 }),
    row("bulk-8-down", "mtls", { cpu: 3e-9 }),
    row("bulk-8-down", "nginx", { cpu: 1e-9 }),
  ]);
  expect(outcomes).toContainEqual({
    what: "bulk b to a, 8: CPU, s per GB",
    target: "bulk b to a, 1",
    measured: 3,
    limit: 2,
    bestPeer: { title: "nginx", value: 1 },
    failed: 0,
  });
});

test("latency is the addition to that without a proxy, as the median of the rounds", () => {
  const outcomes = say([
    latency("none", 100, 100),
    latency("mtls", 200, 240),
    latency("nginx", 170),
  ]);
  expect(outcomes).toMatchObject([{ measured: 120, limit: 70, bestPeer: { value: 70 } }]);
});

test("the slowdown by exclusions is compared with no peer", () => {
  const outcomes = say([
    row("bulk-1-up", "none", { rate: 100 }),
    row("bulk-1-up", "excluded", { rate: 80 }),
    row("bulk-1-up", "nginx", { rate: 50 }),
  ]);
  expect(outcomes).toMatchObject([{ measured: 1.25, limit: 1.02, bestPeer: null }]);
});

test("memory counts both proxies for idle connections, and one for stalled ones", () => {
  const standing = { restKiB: 20_000, perConnectionKiB: 1500, perConnectionOfOneKiB: 1000 };
  const outcomes = say([
    row("idle-5000", "mtls", { standing }),
    row("stalled-64", "mtls", { standing }),
    row("stalled-64", "nginx", { standing }),
  ]);
  expect(outcomes).toMatchObject([
    { measured: 1500, limit: 20 },
    { measured: 1000, limit: 1024, bestPeer: { title: "nginx", value: 1000 } },
  ]);
});

test("a failed peer is no reference, and a failed proxy misses its target", () => {
  const outcomes = say([
    row("new-32", "mtls", { cpu: 1e-6, failed: 3 }),
    row("new-32", "haproxy", { cpu: 4e-6 }),
    row("new-32", "nginx", { cpu: 2e-6, failed: 1 }),
  ]);
  expect(outcomes).toMatchObject([{ bestPeer: { title: "HAProxy" }, measured: 1, failed: 3 }]);
  expect(targetsText(outcomes)).toContain("not met: 3 failed");
});

const told: readonly Outcome[] = [
  outcome({ what: "a", target: "best peer", measured: 2, limit: 2 }),
  outcome({ what: "b", target: "20", measured: 30, limit: 20, bestPeer: { title: "x", value: 9 } }),
  outcome({ what: "c", target: "best peer", measured: 1, limit: null }),
];

test("the table says by how much a target is missed, and nothing where no verdict is possible", () => {
  expect(targetsText(told)).toBe(
    `Targets: the mTLS way, against the best of its peers
     to be at most  which is  measured  best peer          target
  a      best peer      2.00      2.00          –             met
  b             20      20.0      30.0     x 9.00  missed by 50 %
  c      best peer         –      1.00          –               –
`,
  );
});

function say(rows: readonly Row[]): readonly Outcome[] {
  const made: Run = { ...run, rows };
  return outcomesOf(made, compared);
}

function row(name: string, system: string, found: Parameters<typeof sample>[0]): Row {
  return { case: name, system, samples: [sample(found)] };
}

function latency(system: string, ...p50s: readonly number[]): Row {
  const samples = p50s.map((p50) => sample({ latency: { p50, p90: 900, p99: 999 } }));
  return { case: "latency", system, samples };
}

function outcome(some: Partial<Outcome>): Outcome {
  return { what: "", target: "", measured: 0, limit: 0, bestPeer: null, failed: 0, ...some };
}
