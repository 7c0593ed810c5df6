/**
 * The cost of this build compared with the previous release, in turn within one run: CPU of both proxies for a
 * request, a new connection and a gigabyte, and system calls for a request and a megabyte. As root, after
 * scripts/build.sh and scripts/previous.sh: `bun scripts/bench/against-previous.ts [rounds] [quantity...]`, with the
 * first word of a quantity's name. Other load distorts it: run it on a quiet machine. Each round starts its own
 * processes: two processes of one build differ by a few per cent for as long as they live, and a single pair for all
 * rounds would attribute that to the build.
 */
import { flagsOf } from "../../test/support/mesh.ts";
import { executable } from "../../test/support/pods.ts";
import { doConnections, doRequests, doWork, type Done } from "./loads.ts";
import { warm } from "./measure.ts";
import { Pair, type SetUp } from "./pair.ts";
import { cpuOf } from "./processes.ts";
import { httpPort } from "./protocol.ts";
import { median, signInterval } from "./statistics.ts";

const builds = {
  previous: [`${import.meta.dir}/../../bin/previous/tproxy`],
  now: executable(),
} as const;
type Build = keyof typeof builds;
type Costs = Record<Build, number[]>;

type Quantity = {
  readonly name: string;
  readonly unit: string;
  /** Factor from the CPU seconds of one to `unit`. */
  readonly scale: number;
  readonly work: (pair: Pair) => Promise<Done>;
};

const quantities: readonly Quantity[] = [
  {
    name: "request, 32 connections that stay open",
    unit: "µs",
    scale: 1e6,
    work: async (pair) => await doRequests(pair, 40_000),
  },
  {
    name: "connection, new, 32 at once",
    unit: "µs",
    scale: 1e6,
    work: async (pair) => await doConnections(pair, 4000),
  },
  {
    name: "upload of a gigabyte, one stream",
    unit: "s",
    scale: 1e9,
    work: async (pair) => await doWork(pair, { kind: "bulk", streams: 1, direction: "up" }, 3),
  },
  {
    name: "download of a gigabyte, one stream",
    unit: "s",
    scale: 1e9,
    work: async (pair) => await doWork(pair, { kind: "bulk", streams: 1, direction: "down" }, 3),
  },
];

const [roundsText = "9", ...chosen] = process.argv.slice(2);
const measured = quantities.filter(
  ({ name }) => chosen.length === 0 || chosen.includes(/^\w+/.exec(name)?.[0] ?? ""),
);
const costs = new Map<Quantity, Costs>(measured.map((each) => [each, { previous: [], now: [] }]));
for (let round = 0; round < Number(roundsText); round += 1) await run(round);
for (const [quantity, found] of costs) print(quantity, found);

/** Each build comes first equally often; a ratio compares two measurements next to each other in time. */
async function run(round: number): Promise<void> {
  const order: readonly Build[] = round % 2 === 0 ? ["previous", "now"] : ["now", "previous"];
  const pairs: Pair[] = [];
  try {
    for (const build of order) pairs.push(await Pair.make(build, mutualTls(builds[build])));
    for (const pair of pairs) await warm(pair);
    for (const [quantity, found] of costs)
      for (const [at, pair] of pairs.entries())
        found[order[at] ?? "now"].push(quantity.scale * (await costOf(pair, quantity.work)));
  } finally {
    for (const pair of pairs) await pair.dispose();
  }
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

async function costOf(pair: Pair, work: Quantity["work"]): Promise<number> {
  const before = cpuOf(pair.pids);
  const { done, failed } = await work(pair);
  if (failed > 0) throw new Error(`${failed} failed with the build ${pair.system}`);
  return (cpuOf(pair.pids) - before) / done;
}

function print({ name, unit }: Quantity, { previous, now }: Costs): void {
  const ratios = now.map((cost, at) => cost / (previous[at] ?? Number.NaN));
  const [low, high] = signInterval(ratios);
  console.log(
    `${name}: previous ${median(previous).toFixed(3)} ${unit}, now ${median(now).toFixed(3)} ${unit}; ` +
      `ratio ${median(ratios).toFixed(3)}, interval ${low.toFixed(3)} to ${high.toFixed(3)} (${ratios.length} pairs)`,
  );
}
