/**
 * The cost of presenting clients' addresses and ports to applications: CPU and time of a new connection, compared
 * with `--preserve-source off` in the same run, in turn. As root: `bun scripts/bench/source-cost.ts [rounds]`.
 */
import { credentialsFor } from "../../test/support/credentials.ts";
import { flagsOf } from "../../test/support/mesh.ts";
import { Network, type Pod } from "../../test/support/pods.ts";
import { cpuOf } from "./processes.ts";
import { median } from "./statistics.ts";

type Pair = { readonly a: Pod; readonly b: Pod; readonly pids: readonly number[] };
type Cost = { readonly cpu: number[]; readonly latency: number[] };

const rounds = Number(process.argv[2] ?? 7);
/** Few enough that connections in TIME_WAIT do not slow down either pair. */
const together = 600;
const inRow = 200;
const load = new URL("../../test/support/load.ts", import.meta.url).pathname;
const network = Network.make();

try {
  const pairs = new Map<string, Pair>();
  for (const mode of ["ip-port", "off"]) pairs.set(mode, await makePair(mode));
  const costs = new Map<string, Cost>();
  for (const [mode, pair] of pairs) {
    await run(pair, `connections ${together}`); // Warm.
    costs.set(mode, { cpu: [], latency: [] });
  }
  for (let round = 0; round < rounds; round += 1) {
    // Each is first equally often.
    const inTurn = round % 2 === 0 ? [...pairs] : [...pairs].toReversed();
    for (const [mode, pair] of inTurn)
      await measure(pair, costs.get(mode) ?? { cpu: [], latency: [] });
    console.error(`source-cost: round ${round + 1} of ${rounds}`);
  }
  report(costs);
} finally {
  await network.dispose();
}

async function makePair(mode: string): Promise<Pair> {
  const [a, b] = [network.pod(), network.pod()];
  const pids: number[] = [];
  for (const pod of [a, b]) {
    const flags = flagsOf(credentialsFor([pod.address4, pod.address6]));
    const { pid } = await pod.proxy([...flags, "--preserve-source", mode, "--log-lines", "10"]);
    pids.push(pid);
  }
  await b.start(["bun", load, "serve"]).says(/serving/);
  return { a, b, pids };
}

async function measure(pair: Pair, { cpu, latency }: Cost): Promise<void> {
  const before = cpuOf(pair.pids);
  await run(pair, `connections ${together}`);
  cpu.push(((cpuOf(pair.pids) - before) * 1e6) / together);
  const began = performance.now();
  await run(pair, `sequential ${inRow}`);
  latency.push((performance.now() - began) / inRow);
}

async function run({ a, b }: Pair, work: string): Promise<void> {
  const { stdout, stderr } = await a.run(["bun", load, ...work.split(" "), b.address4]);
  const { failed } = JSON.parse(stdout) as { failed: number };
  if (failed > 0) throw new Error(`${failed} connections failed: ${stderr}`);
}

function report(costs: ReadonlyMap<string, Cost>): void {
  const of = (mode: string, what: keyof Cost): number => median(costs.get(mode)?.[what] ?? []);
  for (const [what, unit] of [
    ["cpu", "µs CPU of both proxies per new connection, 32 at once"],
    ["latency", "ms per new connection, one after the other"],
  ] as const) {
    const [kept, off] = [of("ip-port", what), of("off", what)];
    const change = ((kept / off - 1) * 100).toFixed(1);
    console.log(`${unit}: ip-port ${kept.toFixed(3)}, off ${off.toFixed(3)}: ${change} %`);
  }
}
