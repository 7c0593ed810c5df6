/**
 * What this build costs beside the previous release, in turn within one run: CPU of both proxies for a request, a new
 * connection and a gigabyte, and system calls for a request and a megabyte. As root, after scripts/build.sh and
 * scripts/previous.sh: `bun scripts/bench/against-previous.ts [rounds]`. Other load blurs it: run it on a quiet machine.
 */
import { flagsOf } from "../../test/support/mesh.ts";
import { executable } from "../../test/support/pods.ts";
import { doConnections, doRequests, doWork, type Done } from "./loads.ts";
import { warm } from "./measure.ts";
import { Pair, type SetUp } from "./pair.ts";
import { cpuOf } from "./processes.ts";
import { httpPort } from "./protocol.ts";
import { median, signInterval } from "./statistics.ts";

const rounds = Number(process.argv[2] ?? 9);
const builds = {
  previous: [`${import.meta.dir}/../../bin/previous/tproxy`],
  now: executable(),
} as const;
type Build = keyof typeof builds;

type Quantity = {
  readonly name: string;
  readonly unit: string;
  /** CPU seconds of one, times this, are in the unit. */
  readonly scale: number;
  readonly work: (pair: Pair) => Promise<Done>;
};

const quantities: readonly Quantity[] = [
  {
    name: "a request, 32 connections that stay open",
    unit: "µs",
    scale: 1e6,
    work: async (pair) => await doRequests(pair, 40_000),
  },
  {
    name: "a new connection, 32 at once",
    unit: "µs",
    scale: 1e6,
    work: async (pair) => await doConnections(pair, 4000),
  },
  {
    name: "a gigabyte, one stream to the server",
    unit: "s",
    scale: 1e9,
    work: async (pair) => await doWork(pair, { kind: "bulk", streams: 1, direction: "up" }, 3),
  },
  {
    name: "a gigabyte, one stream to the client",
    unit: "s",
    scale: 1e9,
    work: async (pair) => await doWork(pair, { kind: "bulk", streams: 1, direction: "down" }, 3),
  },
];

const pairs = new Map<Build, Pair>();
try {
  for (const build of ["previous", "now"] as const)
    pairs.set(build, await Pair.make(build, mutualTls(builds[build])));
  for (const pair of pairs.values()) await warm(pair);
  for (const quantity of quantities) await compare(quantity);
} finally {
  for (const pair of pairs.values()) await pair.dispose();
}

function mutualTls(program: readonly string[]): SetUp {
  return async ({ a, b, aPaths, bPaths }) => {
    const pids: number[] = [];
    for (const [pod, paths] of [
      [a, aPaths],
      [b, bPaths],
    ] as const) {
      const running = pod.start([...program, ...flagsOf(paths), "--log-lines", "10"]);
      await running.says(/\] ready/);
      pids.push(running.pid);
    }
    const [aPid = null, bPid = null] = pids;
    return { aPid, bPid, target: b.address4, tlsPort: httpPort };
  };
}

/** Each build is first as often as the other; a ratio is of two neighbours in time. */
async function compare({ name, unit, scale, work }: Quantity): Promise<void> {
  const costs: Record<Build, number[]> = { previous: [], now: [] };
  for (let round = 0; round < rounds; round += 1) {
    const order: readonly Build[] = round % 2 === 0 ? ["previous", "now"] : ["now", "previous"];
    for (const build of order) costs[build].push(scale * (await costOf(build, work)));
  }
  const ratios = costs.now.map((cost, at) => cost / (costs.previous[at] ?? Number.NaN));
  const [low, high] = signInterval(ratios);
  console.log(
    `${name}: previous ${median(costs.previous).toFixed(3)} ${unit}, now ${median(costs.now).toFixed(3)} ${unit}; ` +
      `ratio ${median(ratios).toFixed(3)}, interval ${low.toFixed(3)} to ${high.toFixed(3)} (${rounds} pairs)`,
  );
}

async function costOf(build: Build, work: Quantity["work"]): Promise<number> {
  const pair = pairs.get(build);
  if (pair === undefined) throw new Error(`no pair for ${build}`);
  const before = cpuOf(pair.pids);
  const { done, failed } = await work(pair);
  if (failed > 0) throw new Error(`${failed} failed with the build ${build}`);
  return (cpuOf(pair.pids) - before) / done;
}
