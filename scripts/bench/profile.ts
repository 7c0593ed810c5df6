/**
 * Where the proxies' time goes in one case: Bun's profiler for JavaScript, and perf(1) for everything if installed.
 */
import { readFileSync } from "node:fs";

import { flagsOf } from "../../test/support/mesh.ts";
import type { Running } from "../../test/support/pods.ts";
import { temporaryDirectory } from "../../test/support/temporary.ts";
import { unitsOf, type Case } from "./cases.ts";
import { measure, warm } from "./measure.ts";
import { Pair, type Ground, type Proxies } from "./pair.ts";
import {
  functionsOf,
  list,
  namedOf,
  partsOf,
  systemCallsOf,
  type CpuProfile,
} from "./profile-text.ts";
import { httpPort } from "./protocol.ts";
import type { Sample } from "./results.ts";
import { cpuText } from "./table.ts";

/**
 * Prints the profile. Each profiler has its own turn, because Bun's interrupts the program each millisecond, and perf
 * would show that. The proxies run from source, so that functions have names.
 */
export async function profile(one: Case, seconds: number, stop: AbortSignal): Promise<void> {
  const plan = { one, seconds, stop };
  const directory = temporaryDirectory();
  const perf = `${directory}/perf.data`;
  const { cpu } = await turn(
    plan,
    () => [],
    (pair) => record(pair, perf),
  );
  const units = unitsOf(one.work);
  console.log(`${one.title}: ${cpuText(cpu ?? 0, units)} ${units.cpu}, from the sources\n`);
  console.log(`${Bun.which("perf") === null ? perfMissing : perfText(perf)}\n`);

  const flags = (side: Side): string[] => [
    "--cpu-prof-dir",
    directory,
    "--cpu-prof-name",
    fileOf(side),
  ];
  await turn(
    plan,
    (side) => ["--cpu-prof", ...flags(side)],
    () => null,
  );
  for (const side of sides) console.log(`${javaScriptText(directory, side)}\n`);
}

type Plan = { readonly one: Case; readonly seconds: number; readonly stop: AbortSignal };

/** The case's work between two proxies of its own, which have ended afterwards in any case. */
async function turn(
  { one, seconds, stop }: Plan,
  bunFlags: (side: Side) => readonly string[],
  watch: (pair: Pair) => Recording | null,
): Promise<Sample> {
  stop.throwIfAborted();
  const proxies: Running[] = [];
  const pair = await Pair.make("mtls", async (ground) => await start(ground, bunFlags, proxies));
  try {
    await warm(pair);
    stop.throwIfAborted();
    const sample = await watched(watch(pair), async () => await measure(pair, one, seconds));
    stop.throwIfAborted();
    for (const proxy of proxies) await proxy.end(); // They write their profiles when they end.
    return sample;
  } finally {
    await pair.dispose();
  }
}

async function watched<T>(watching: Recording | null, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await watching?.end();
  }
}

/** Dropping privileges would re-execute the process, and lose its profile. */
async function start(
  ground: Ground,
  bunFlags: (side: Side) => readonly string[],
  proxies: Running[],
): Promise<Proxies> {
  const pids: number[] = [];
  for (const side of sides) {
    const flags = [...flagsOf(ground[`${side}Paths`]), "--privileges", "kept", "--drain", "1s"];
    const main = `${import.meta.dir}/../../src/main.ts`;
    const proxy = ground[side].start(["bun", ...bunFlags(side), main, ...flags]);
    await proxy.says(/\] ready/);
    proxies.push(proxy);
    pids.push(proxy.pid);
  }
  const [aPid = null, bPid = null] = pids;
  return { aPid, bPid, target: ground.b.address4, tlsPort: httpPort };
}

type Recording = { readonly end: () => Promise<void> };

/** Sampled by a kernel timer: a virtual machine seldom has hardware counters. Null without perf. */
function record({ pids }: Pair, file: string): Recording | null {
  if (Bun.which("perf") === null) return null;
  const what = ["--event", "cpu-clock", "--freq", "997", "-g", "--pid", pids.join(",")];
  const child = Bun.spawn(["perf", "record", "--quiet", ...what, "--output", file], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  return {
    end: async () => {
      child.kill("SIGINT");
      await child.exited;
    },
  };
}

function perfText(file: string): string {
  const report = (...options: readonly string[]): string => {
    const common = ["--input", file, "--stdio", "--call-graph", "none", "--field-separator", "|"];
    return Bun.spawnSync(["perf", "report", ...common, ...options]).stdout.toString();
  };
  const own = (sort: string): ReturnType<typeof partsOf> =>
    partsOf(report("--no-children", "--sort", sort));
  const callers = partsOf(report("--children", "--sort", "symbol"));
  return [
    list("Both proxies, by what runs (perf)", own("dso"), 6),
    list("System calls, with all that the kernel does in them", systemCallsOf(callers), 8),
    list(
      "Functions that have names, of the kernel [k] and of libraries [.]",
      namedOf(own("symbol")),
      15,
    ),
  ].join("\n\n");
}

function javaScriptText(directory: string, side: Side): string {
  const text = readFileSync(`${directory}/${fileOf(side)}`, "utf8");
  const { samples, functions } = functionsOf(JSON.parse(text) as CpuProfile);
  const title = `JavaScript of the proxy in pod ${side}, from start to end: ${samples} samples of 1 ms, by function`;
  return list(title, functions, 20);
}

type Side = (typeof sides)[number];

function fileOf(side: Side): string {
  return `${side}.cpuprofile`;
}

const sides = ["a", "b"] as const;
const perfMissing =
  "perf is not there (Debian: apt-get install linux-perf): nothing about the kernel and Bun itself";
