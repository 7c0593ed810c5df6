/** The quantities of the targets: for one case and one system a median in a readable unit. Pure. */
import { unitsOf, type Case } from "./cases.ts";
import type { Run, Sample } from "./results.ts";
import { summaryOf } from "./statistics.ts";

export type Quantity = {
  readonly name: (one: Case) => string;
  /** Null if the run has not measured it. */
  readonly of: (run: Run, one: Case, system: string) => number | null;
};

export const cpu: Quantity = {
  name: ({ work }) => `CPU, ${unitsOf(work).cpu}`,
  of: (run, one, system) => {
    const { cpuScale } = unitsOf(one.work);
    return middle(run, one, system, (sample) => scaled(sample.cpu, cpuScale));
  },
};

export const p99: Quantity = {
  name: () => "p99, µs",
  of: (run, one, system) => middle(run, one, system, ({ latency }) => latency?.p99 ?? null),
};

export const addedLatency: Quantity = {
  name: () => "p50 added to that without a proxy, µs",
  of: (run, one, system) => {
    const own = middle(run, one, system, middleTime);
    const bare = middle(run, one, "none", middleTime);
    return own === null || bare === null ? null : own - bare;
  },
};

/** Below one if the difference is less than the spread of the rounds. */
export const slowdown: Quantity = {
  name: () => "rate without a proxy, as a multiple of it",
  of: (run, one, system) => {
    const own = middle(run, one, system, ({ rate }) => rate);
    const bare = middle(run, one, "none", ({ rate }) => rate);
    return own === null || bare === null ? null : bare / own;
  },
};

export const memory: Quantity = {
  name: () => "anonymous memory of both proxies, KiB each",
  of: (run, one, system) =>
    middle(run, one, system, ({ standing }) => standing?.perConnectionKiB ?? null),
};

export const memoryOfOne: Quantity = {
  name: () => "anonymous memory of one proxy, KiB each",
  of: (run, one, system) =>
    middle(run, one, system, ({ standing }) => standing?.perConnectionOfOneKiB ?? null),
};

export const rest: Quantity = {
  name: () => "resident memory of a proxy before, MB",
  of: (run, one, system) =>
    middle(run, one, system, ({ standing }) => scaled(standing?.restKiB ?? null, 1024 / 1e6)),
};

function middle(
  { rows }: Run,
  one: Case,
  system: string,
  choose: (sample: Sample) => number | null,
): number | null {
  const row = rows.find((each) => each.case === one.name && each.system === system);
  return summaryOf(row?.samples ?? [], choose)?.median ?? null;
}

function middleTime({ latency }: Sample): number | null {
  return latency?.p50 ?? null;
}

function scaled(value: number | null, scale: number): number | null {
  return value === null ? null : value * scale;
}
