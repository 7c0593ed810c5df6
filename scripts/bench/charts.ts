/** A run as charts: the data for Chart.js. Pure. */
import { casesOf, type Named } from "./table.ts";
import { unitsOf, type Case, type Work } from "./cases.ts";
import type { Row, Run, Sample } from "./results.ts";
import { summaryOf } from "./statistics.ts";

/** One value per label; null if there is none. */
export type Series = { readonly label: string; readonly data: readonly (number | null)[] };

export type Chart = {
  readonly section: string;
  readonly title: string;
  readonly type: "bar" | "line";
  readonly scale: "linear" | "logarithmic";
  /** The unit of its values. */
  readonly unit: string;
  readonly labels: readonly string[];
  readonly series: readonly Series[];
};

/** The charts for which a run has data. */
export function chartsOf(run: Run, systems: readonly Named[]): readonly Chart[] {
  const all = [
    throughput(run, systems),
    ...latencies(run, systems),
    ...costs(run, systems),
    idleMemory(run, systems),
    stalledMemory(run, systems),
    memoryOfRun(run, systems),
  ];
  return all.filter(({ labels, series }) => labels.length > 0 && series.length > 0);
}

function throughput(run: Run, systems: readonly Named[]): Chart {
  const taking = casesOf(run).filter(
    ({ work }) => !["paced", "standing", "handshakes"].includes(work.kind),
  );
  return {
    section: "Throughput",
    title: "as a part of that without a proxy",
    type: "bar",
    scale: "linear",
    unit: "no proxy = 1",
    labels: taking.map(({ title }) => title),
    series: seriesOf(run, systems, taking, (row) => {
      const bare = rowOf(run, row.case, "none");
      if (bare === null) return null;
      const base = middle(bare, ({ rate }) => rate);
      const own = middle(row, ({ rate }) => rate);
      return own === null || base === null ? null : own / base;
    }),
  };
}

/** A chart for each case whose load generator reports latencies. */
function latencies(run: Run, systems: readonly Named[]): Chart[] {
  const parts = ["p50", "p90", "p99"] as const;
  return casesOf(run).map((one) => ({
    section: "Latency",
    title: one.title,
    type: "bar",
    scale: "logarithmic",
    unit: "µs",
    labels: parts,
    series: valued(systems, (system) => {
      const row = rowOf(run, one.name, system);
      return parts.map((part) =>
        row === null ? null : middle(row, ({ latency }) => latency?.[part] ?? null),
      );
    }),
  }));
}

/** A chart for each unit of CPU cost. */
function costs(run: Run, systems: readonly Named[]): Chart[] {
  const taking = casesOf(run).filter(({ work }) => work.kind !== "standing");
  const units = new Set(taking.map(({ work }) => unitsOf(work).cpu));
  return [...units].map((unit) => {
    const these = taking.filter(({ work }) => unitsOf(work).cpu === unit);
    return {
      section: "CPU of the proxies",
      title: unit,
      type: "bar",
      scale: "linear",
      unit,
      labels: these.map(({ title }) => title),
      series: seriesOf(run, systems, these, (row, { work }) => {
        const cost = middle(row, work.kind === "handshakes" ? serverCost : bothCost);
        return cost === null ? null : cost * unitsOf(work).cpuScale;
      }),
    };
  });
}

/** The axis starts at zero. */
function idleMemory(run: Run, systems: readonly Named[]): Chart {
  const taking = casesOf(run).filter(({ work }) => work.kind === "standing" && !work.isStalled);
  const measured = seriesOf(run, systems, taking, standingMiB);
  return {
    section: "Memory",
    title: "growth by idle connections, anonymous, of the proxies together",
    type: "line",
    scale: "linear",
    unit: "MiB",
    labels: ["0", ...taking.map(({ work }) => String(countOf(work)))],
    series: measured.map(({ label, data }) => ({ label, data: data.toSpliced(0, 0, 0) })),
  };
}

function stalledMemory(run: Run, systems: readonly Named[]): Chart {
  const taking = casesOf(run).filter(({ work }) => work.kind === "standing" && work.isStalled);
  return {
    section: "Memory",
    title: "growth by stalled streams, anonymous, of the proxies together",
    type: "bar",
    scale: "linear",
    unit: "MiB",
    labels: taking.map(({ work }) => String(countOf(work))),
    series: seriesOf(run, systems, taking, standingMiB),
  };
}

function standingMiB(row: Row, { work }: Case): number | null {
  const each = middle(row, ({ standing }) => standing?.perConnectionKiB ?? null);
  return each === null ? null : (each * countOf(work)) / 1024;
}

function countOf(work: Work): number {
  return work.kind === "standing" ? work.count : Number.NaN;
}

/** Standing connections are measured on proxies of their own. */
function memoryOfRun(run: Run, systems: readonly Named[]): Chart {
  const taking = casesOf(run).filter(({ work }) => work.kind !== "standing");
  const steps = Array.from({ length: run.rounds }, (_, round) =>
    taking.map((one) => ({ round, one })),
  ).flat();
  return {
    section: "Memory",
    title: "in the course of the run, anonymous, of the proxies together",
    type: "line",
    scale: "linear",
    unit: "MiB",
    labels: steps.map(({ round, one }) => `${round + 1}: ${one.title}`),
    series: valued(systems, (system) =>
      steps.map(({ round, one }) => {
        const size = rowOf(run, one.name, system)?.samples[round]?.memoryKiB ?? null;
        return size === null ? null : size / 1024;
      }),
    ),
  };
}

/** A value for each case; systems without any value are left out. */
function seriesOf(
  run: Run,
  systems: readonly Named[],
  taking: readonly Case[],
  value: (row: Row, one: Case) => number | null,
): Series[] {
  return valued(systems, (system) =>
    taking.map((one) => {
      const row = rowOf(run, one.name, system);
      return row === null ? null : value(row, one);
    }),
  );
}

function valued(systems: readonly Named[], data: (system: string) => Series["data"]): Series[] {
  return systems
    .map(({ name, title }) => ({ label: title, data: data(name) }))
    .filter((series) => series.data.some((value) => value !== null));
}

function rowOf({ rows }: Run, name: string, system: string): Row | null {
  return rows.find((row) => row.case === name && row.system === system) ?? null;
}

function middle({ samples }: Row, choose: (sample: Sample) => number | null): number | null {
  return summaryOf(samples, choose)?.median ?? null;
}

function bothCost({ cpu }: Sample): number | null {
  return cpu;
}

function serverCost({ cpuServer }: Sample): number | null {
  return cpuServer;
}
