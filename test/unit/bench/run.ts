/** A small invented run for the tests of table and report. */
import type { Run, Sample } from "../../../scripts/bench/results.ts";

export const systems = [
  { name: "none", title: "no proxy" },
  { name: "mtls", title: "mTLS" },
];

export const run: Run = {
  date: "2026-01-02T03:04:05.678Z",
  scope: "full",
  rounds: 2,
  seconds: 2,
  machine: {
    processor: "Example 1000",
    cores: 2,
    memoryMiB: 4096,
    kernel: "6.1.0",
    distribution: "Debian",
    versions: { tproxy: "0.1.0", wrk: "4.1.0" },
  },
  others: { cores: 0.01, who: [] },
  rows: [
    {
      case: "keep-alive-32",
      system: "none",
      samples: [
        sample({ rate: 99_000, latency: { p50: 200, p90: 300, p99: 1400 } }),
        sample({ rate: 101_000, latency: { p50: 200, p90: 300, p99: 1400 } }),
      ],
    },
    {
      case: "keep-alive-32",
      system: "mtls",
      samples: [35, 45].map((cost) =>
        sample({
          rate: 25_000,
          cpu: cost / 1e6,
          cpuServer: 15e-6,
          latency: { p50: 990, p90: 995, p99: 1000 },
          failed: cost === 35 ? 1 : 0,
          memoryKiB: 5000 * cost,
        }),
      ),
    },
    { case: "bulk-1-up", system: "none", samples: [sample({ rate: 2e9 })] },
    {
      case: "bulk-1-up",
      system: "mtls",
      samples: [sample({ rate: 5e8, cpu: 2e-9, cpuServer: 1e-9, memoryKiB: 90_000 })],
    },
    {
      case: "idle-1000",
      system: "mtls",
      samples: [
        sample({
          standing: { restKiB: 30_720, perConnectionKiB: 60, perConnectionOfOneKiB: 40 },
        }),
      ],
    },
    {
      case: "stalled-64",
      system: "mtls",
      samples: [
        sample({
          standing: { restKiB: 30_720, perConnectionKiB: 1536, perConnectionOfOneKiB: 1000 },
        }),
      ],
    },
    { case: "handshake-full", system: "mtls", samples: [sample({ cpuServer: 1e-3 })] },
  ],
};

export function sample(found: Partial<Sample>): Sample {
  return {
    rate: null,
    cpu: null,
    cpuServer: null,
    latency: null,
    standing: null,
    failed: 0,
    memoryKiB: null,
    othersCores: 0,
    ...found,
  };
}
