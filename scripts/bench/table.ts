/** A run as a table for the terminal. Pure. */
import { cases, unitsOf, type Case, type Units } from "./cases.ts";
import type { Row, Run, Sample } from "./results.ts";
import { median, summaryOf, type Summary } from "./statistics.ts";

export type Named = { readonly name: string; readonly title: string };

/** A block for each case, a line for each system, medians; ± is the spread from lowest to highest. */
export function table(run: Run, systems: readonly Named[]): string {
  const blocks = casesOf(run).map((one) => {
    const rows = run.rows.filter((row) => row.case === one.name);
    const lines = systems.flatMap(({ name, title }) => {
      const row = rows.find(({ system }) => system === name);
      return row === undefined ? [] : [[title, ...cells(one, row, rows)]];
    });
    return [`${one.title}${countedIn(one)}`, ...aligned([headOf(one), ...lines])].join("\n");
  });
  return `${blocks.join("\n\n")}\n`;
}

/** What disturbed a run, or null: foreign CPU use makes times worthless, and CPU per unit a little larger. */
export function warning({ others }: Run): string | null {
  if (others.cores < othersCoresMax) return null;
  const who = others.who.length === 0 ? "" : `: ${others.who.join(", ")}`;
  return `WARNING: other processes used ${others.cores.toFixed(2)} cores during the run${who}`;
}

/** The cases for which a run has data, in order. */
export function casesOf({ rows }: Run): readonly Case[] {
  return cases.filter(({ name }) => rows.some((row) => row.case === name));
}

export function rateText(rate: number, { rateScale }: Units): string {
  return significant(rate * rateScale);
}

export function cpuText(cpu: number, { cpuScale }: Units): string {
  return significant(cpu * cpuScale);
}

/** Three significant digits, or all digits of a large number, in groups. */
export function significant(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function headOf({ work }: Case): string[] {
  if (work.kind === "standing")
    return ["", "KiB per connection", "±", "of one proxy", "MiB at rest, each", "failed"];
  if (work.kind === "handshakes")
    return ["", "per second and core of pod b's proxy", "±", "CPU of it", "failed"];
  const compared = work.kind === "paced" ? "p50 to no proxy" : "to no proxy";
  return ["", "rate", compared, "±", "p50", "p90", "p99", "±", "CPU", "±", "pod b's", "failed"];
}

function countedIn({ work }: Case): string {
  if (work.kind === "standing") return ": anonymous memory of the proxies together";
  const { rate, cpu } = unitsOf(work);
  if (work.kind === "handshakes") return `: CPU in ${cpu}, with a request and its answer`;
  const times = work.kind === "bulk" ? "" : ", latency in µs";
  return `: ${rate}${times}, CPU of the proxies in ${cpu}`;
}

function cells(one: Case, row: Row, rows: readonly Row[]): string[] {
  const { samples } = row;
  const failed = String(samples.reduce((sum, sample) => sum + sample.failed, 0));
  const units = unitsOf(one.work);
  if (one.work.kind === "standing") return [...standingCells(samples), failed];
  if (one.work.kind === "handshakes") return [...handshakeCells(samples, units), failed];
  const rate = summaryOf(samples, rateOf);
  const cpu = summaryOf(samples, (sample) => sample.cpu);
  const server = summaryOf(samples, ({ cpuServer }) => cpuServer);
  return [
    rate === null ? "–" : rateText(rate.median, units),
    ratio(row, rows, one.work.kind === "paced" ? middleTime : rateOf),
    spread(rate),
    ...(["p50", "p90", "p99"] as const).map((part) => latency(samples, part)),
    spread(summaryOf(samples, (sample) => sample.latency?.p99 ?? null)),
    cpu === null ? "–" : cpuText(cpu.median, units),
    spread(cpu),
    server === null ? "–" : cpuText(server.median, units),
    failed,
  ];
}

function standingCells(samples: readonly Sample[]): string[] {
  const each = summaryOf(samples, ({ standing }) => standing?.perConnectionKiB ?? null);
  const rest = median(samples.map(({ standing }) => (standing?.restKiB ?? Number.NaN) / 1024));
  const one = median(samples.map(({ standing }) => standing?.perConnectionOfOneKiB ?? Number.NaN));
  return [
    each === null ? "–" : each.median.toFixed(1),
    spread(each),
    one.toFixed(1),
    rest.toFixed(1),
  ];
}

function handshakeCells(samples: readonly Sample[], units: Units): string[] {
  const cost = summaryOf(samples, ({ cpuServer }) => cpuServer);
  if (cost === null) return ["–", "–", "–"];
  return [significant(1 / cost.median), spread(cost), cpuText(cost.median, units)];
}

function ratio(row: Row, rows: readonly Row[], choose: (sample: Sample) => number | null): string {
  const bare = rows.find(({ system }) => system === "none");
  const base = summaryOf(bare?.samples ?? [], choose);
  const own = summaryOf(row.samples, choose);
  return own === null || base === null ? "–" : (own.median / base.median).toFixed(2);
}

function rateOf({ rate }: Sample): number | null {
  return rate;
}

/** A paced load has no rate of its own. */
function middleTime({ latency: found }: Sample): number | null {
  return found?.p50 ?? null;
}

function latency(samples: readonly Sample[], part: "p50" | "p90" | "p99"): string {
  const found = summaryOf(samples, (sample) => sample.latency?.[part] ?? null);
  return found === null ? "–" : significant(found.median);
}

function spread(found: Summary | null): string {
  return found === null ? "–" : `${(found.spread * 100).toFixed(0)} %`;
}

/** The first column left-aligned, the others right-aligned. */
export function aligned(lines: readonly (readonly string[])[]): string[] {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? `  ${cell.padEnd(width)}` : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

/** Below this the benchmark is not affected. */
const othersCoresMax = 0.1;
