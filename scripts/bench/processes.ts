/** Use of resources by processes, from proc(5): CPU and memory of given ones, CPU of all foreign ones. */
import { readdirSync, readFileSync } from "node:fs";

/** CPU seconds of a foreign process, including those of its children that it has waited for. */
export type Usage = { readonly name: string; readonly parent: number; readonly seconds: number };

/** User and system time in seconds, of all threads, including ended ones. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (read(pid)?.own ?? 0), 0);
}

/** Resident (VmRSS) or anonymous (RssAnon) memory of all of them together. */
export function memoryKiB(pids: readonly number[], what: "VmRSS" | "RssAnon"): number {
  return pids.reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return sum + Number(new RegExp(`^${what}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  }, 0);
}

/** By pid: every process except this one and its descendants. Kernel threads process our packets and are left out. */
export function usageOfOthers(): ReadonlyMap<number, Usage> {
  const all = new Map<number, Stat>();
  for (const entry of readdirSync("/proc")) {
    const stat = /^\d+$/.test(entry) ? read(Number(entry)) : null;
    if (stat !== null) all.set(Number(entry), stat);
  }
  const usages = new Map<number, Usage>();
  for (const [pid, { name, parent, own, waited }] of all)
    if (!descends(pid, [process.pid, kernelThreads], all))
      usages.set(pid, { name, parent, seconds: own + waited });
  return usages;
}

export type Used = {
  readonly seconds: number;
  readonly who: readonly {
    readonly pid: number;
    readonly name: string;
    readonly seconds: number;
  }[];
};

/** CPU seconds between two readings, and who used them, largest first. An ended process counts for its parent. */
export function usedBetween(
  before: ReadonlyMap<number, Usage>,
  after: ReadonlyMap<number, Usage>,
): Used {
  const had = new Map([...before].map(([pid, { seconds }]) => [pid, seconds]));
  // A parent gets all that its child ever used, including the use before the first reading.
  for (const [pid, { seconds }] of before) {
    const heir = heirOf(pid, before, after);
    if (heir !== pid) had.set(heir, (had.get(heir) ?? 0) + seconds);
  }
  const who = [...after]
    .map(([pid, { name, seconds }]) => ({ pid, name, seconds: seconds - (had.get(pid) ?? 0) }))
    .filter(({ seconds }) => seconds > 0)
    .toSorted((one, other) => other.seconds - one.seconds);
  return { seconds: who.reduce((sum, { seconds }) => sum + seconds, 0), who };
}

/** The process itself, or its nearest living ancestor. */
function heirOf(
  pid: number,
  before: ReadonlyMap<number, Usage>,
  after: ReadonlyMap<number, Usage>,
): number {
  let at = pid;
  while (!after.has(at)) {
    const parent = before.get(at)?.parent;
    if (parent === undefined) return at;
    at = parent;
  }
  return at;
}

type Stat = {
  readonly name: string;
  readonly parent: number;
  readonly own: number;
  readonly waited: number;
};

/** Null if it has ended. */
function read(pid: number): Stat | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return null;
  }
}

/** A name may contain blanks and parentheses: the last parenthesis ends it. Times are seconds. */
export function parseStat(text: string): Stat {
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const seconds = (first: number): number =>
    (Number(fields[first]) + Number(fields[first + 1])) / ticksPerSecond;
  return {
    name: text.slice(text.indexOf("(") + 1, end),
    parent: Number(fields[1]),
    own: seconds(11),
    waited: seconds(13),
  };
}

function descends(
  pid: number,
  ancestors: readonly number[],
  all: ReadonlyMap<number, Stat>,
): boolean {
  let at: number | undefined = pid;
  while (at !== undefined && at > 0) {
    if (ancestors.includes(at)) return true;
    at = all.get(at)?.parent;
  }
  return false;
}

/** sysconf(_SC_CLK_TCK) is 100 on every Linux that Bun runs on. */
const ticksPerSecond = 100;
/** kthreadd, the parent of all kernel threads. */
const kernelThreads = 2;
