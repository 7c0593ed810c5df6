/** One measurement: a case's work over a pair, and the proxies' use meanwhile. */
import type { Case } from "./cases.ts";
import { doWork, type Done } from "./loads.ts";
import type { Pair } from "./pair.ts";
import { cpuOf, memoryKiB, usageOfOthers, usedBetween } from "./processes.ts";
import { standing } from "./standing.ts";
import type { StandingMemory, Sample } from "./results.ts";

export async function measure(pair: Pair, { work }: Case, seconds: number): Promise<Sample> {
  const others = usageOfOthers();
  const began = performance.now();
  const before = cpuOf(pair.pids);
  const beforeServer = cpuOf(serverOf(pair));
  const found: Done & { readonly standing?: StandingMemory } =
    work.kind === "standing" ? await standing(pair, work) : await doWork(pair, work, seconds);
  const { done, failed } = found;
  const good = Math.max(1, done - failed);
  const took = (performance.now() - began) / 1000;
  return {
    rate: found.seconds > 0 ? (done - failed) / found.seconds : null,
    cpu: pair.pids.length === 0 ? null : (cpuOf(pair.pids) - before) / good,
    cpuServer: pair.bPid === null ? null : (cpuOf(serverOf(pair)) - beforeServer) / good,
    latency: found.latency,
    standing: found.standing ?? null,
    failed,
    memoryKiB: pair.pids.length === 0 ? null : memoryKiB(pair.pids, "RssAnon"),
    othersCores: usedBetween(others, usageOfOthers()).seconds / took,
  };
}

/** Makes JavaScript compiled and the first pages present before the measurement. */
export async function warm(pair: Pair): Promise<void> {
  await doWork(pair, { kind: "requests", connections: 32 }, 1);
  await doWork(pair, { kind: "connections", width: 8 }, 1);
}

function serverOf({ bPid }: Pair): readonly number[] {
  return bPid === null ? [] : [bPid];
}
