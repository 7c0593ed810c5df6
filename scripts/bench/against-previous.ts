/**
 * The cost of this build compared with the previous release, in turn within one run: CPU and system calls of both
 * proxies for a request, a new connection, and bytes. As root, after scripts/build.sh and scripts/previous.sh:
 * `bun scripts/bench/against-previous.ts [rounds] [quantity...]`, with the first word of a quantity's name; the
 * system calls need perf(1). Other load distorts it: run it on a quiet machine. Each round starts its own
 * processes: two processes of one build differ by a few per cent for as long as they live, and a single pair for all
 * rounds would attribute that to the build.
 */
import { flagsOf } from "../../test/support/mesh.ts";
import { executable } from "../../test/support/pods.ts";
import { doConnections, doRequests, doWork, type Done } from "./loads.ts";
import { countCalls } from "./calls.ts";
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
  /** Factor from the CPU seconds, or system calls, of one request, connection or byte to `unit`. */
  readonly scale: number;
  readonly counted: "cpu" | "calls";
  readonly work: (pair: Pair) => Promise<Done>;
};

const requests = async (pair: Pair): Promise<Done> => await doRequests(pair, 40_000);
const connections = async (pair: Pair): Promise<Done> => await doConnections(pair, 4000);
const stream =
  (direction: "up" | "down") =>
  async (pair: Pair): Promise<Done> =>
    await doWork(pair, { kind: "bulk", streams: 1, direction }, 3);

const cpu = { counted: "cpu" } as const;
const calls = { counted: "calls", unit: "calls" } as const;
const quantities: readonly Quantity[] = [
  {
    ...cpu,
    name: "request, 32 connections that stay open",
    unit: "µs",
    scale: 1e6,
    work: requests,
  },
  { ...cpu, name: "connection, new, 32 at once", unit: "µs", scale: 1e6, work: connections },
  { ...cpu, name: "upload of a gigabyte, one stream", unit: "s", scale: 1e9, work: stream("up") },
  {
    ...cpu,
    name: "download of a gigabyte, one stream",
    unit: "s",
    scale: 1e9,
    work: stream("down"),
  },
  { ...calls, name: "calls for a request", scale: 1, work: requests },
  { ...calls, name: "calls for a new connection", scale: 1, work: connections },
  { ...calls, name: "calls for a megabyte up", scale: 1e6, work: stream("up") },
  { ...calls, name: "calls for a megabyte down", scale: 1e6, work: stream("down") },
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
        found[order[at] ?? "now"].push(quantity.scale * (await costOf(pair, quantity)));
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

async function costOf(pair: Pair, { counted, work }: Quantity): Promise<number> {
  if (counted === "calls") {
    const { result, calls: made } = await countCalls(pair.pids, async () => await work(pair));
    return made / doneOf(pair, result);
  }
  const before = cpuOf(pair.pids);
  const done = doneOf(pair, await work(pair));
  return (cpuOf(pair.pids) - before) / done;
}

function doneOf(pair: Pair, { done, failed }: Done): number {
  if (failed > 0) throw new Error(`${failed} failed with the build ${pair.system}`);
  return done;
}

function print({ name, unit }: Quantity, { previous, now }: Costs): void {
  const ratios = now.map((cost, at) => cost / (previous[at] ?? Number.NaN));
  const [low, high] = signInterval(ratios);
  console.log(
    `${name}: previous ${median(previous).toFixed(3)} ${unit}, now ${median(now).toFixed(3)} ${unit}; ` +
      `ratio ${median(ratios).toFixed(3)}, interval ${low.toFixed(3)} to ${high.toFixed(3)} (${ratios.length} pairs)`,
  );
}
