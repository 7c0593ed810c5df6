/** A run as the manual's table: ratios, and CPU per unit. Pure. */
import { unitsOf, type Case, type Units } from "./cases.ts";
import { describeMachine, roundsText } from "./describe.ts";
import type { Row, Run, Sample } from "./results.ts";
import { summaryOf } from "./statistics.ts";
import { casesOf, cpuText, significant } from "./table.ts";
import { outcomesOf, type Compared } from "./targets.ts";
import { targetsMarkdown } from "./targets-text.ts";

/**
 * A line for each case, a column for each system except the bare one, which is the reference; with peers, a table of
 * the targets below.
 */
export function markdown(run: Run, systems: readonly Compared[]): string {
  const taking = systems.filter(
    ({ name }) => name !== "none" && run.rows.some(({ system }) => system === name),
  );
  const head = ["", ...taking.map(({ title }) => title)];
  const lines = casesOf(run).map((one) =>
    [`${one.title}: ${meaning(one)}`].concat(taking.map(({ name }) => cell(run, one, name))),
  );
  const rows = [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`);
  const [machine = "", versions = ""] = describeMachine(run.machine).split("\n");
  const when = `${run.date.slice(0, 10)}, ${roundsText(run)}`;
  const targets = targetsMarkdown(outcomesOf(run, systems));
  const below = targets === "" ? "" : `\n${targets}`;
  return `${rows.join("\n")}\n\n${when}, ${machine}. ${versions}.\n${below}`;
}

function meaning({ work }: Case): string {
  if (work.kind === "standing") return "KiB each; MiB of a proxy at rest";
  if (work.kind === "handshakes") return `CPU of pod b's proxy, ${unitsOf(work).cpu}`;
  const what = work.kind === "paced" || work.kind === "ping" ? "time" : "rate";
  return `${what}; ${unitsOf(work).cpu}`;
}

function cell(run: Run, one: Case, system: string): string {
  const row = rowOf(run, one, system);
  if (row === undefined) return "";
  const units = unitsOf(one.work);
  switch (one.work.kind) {
    case "standing":
      return standingCell(row);
    case "handshakes":
      return told(middle(row, ({ cpuServer }) => scaled(cpuServer, units)));
    case "paced":
    case "ping":
      return `${ratio(run, row, one, ({ latency }) => latency?.p50 ?? null)}${cost(row, one)}`;
    case "requests":
    case "connections":
    case "bulk":
      return `${ratio(run, row, one, ({ rate }) => rate)}${cost(row, one)}`;
  }
}

function ratio(run: Run, row: Row, one: Case, choose: (sample: Sample) => number | null): string {
  const bare = rowOf(run, one, "none");
  const base = bare === undefined ? null : middle(bare, choose);
  const own = middle(row, choose);
  return own === null || base === null ? "–" : `× ${(own / base).toFixed(2)}`;
}

/** Proxies that carry nothing have no cost. */
function cost(row: Row, { work }: Case): string {
  const both = middle(row, ({ cpu }) => cpu);
  const units = unitsOf(work);
  const text = both === null ? "" : cpuText(both, units);
  return text === "" || text === "0.00" ? "" : `; ${text}`;
}

function rowOf({ rows }: Run, one: Case, system: string): Row | undefined {
  return rows.find((row) => row.case === one.name && row.system === system);
}

function middle({ samples }: Row, choose: (sample: Sample) => number | null): number | null {
  return summaryOf(samples, choose)?.median ?? null;
}

function standingCell(row: Row): string {
  const rest = middle(row, ({ standing }) => (standing === null ? null : standing.restKiB / 1024));
  return `${told(middle(row, ({ standing }) => standing?.perConnectionKiB ?? null))}; ${told(rest)}`;
}

function scaled(seconds: number | null, { cpuScale }: Units): number | null {
  return seconds === null ? null : seconds * cpuScale;
}

function told(value: number | null): string {
  return value === null ? "–" : significant(value);
}
