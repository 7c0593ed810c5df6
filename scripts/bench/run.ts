/** A run: every case over every system, in turn, round after round, with a line of progress for each. */
import type { Arguments } from "./arguments.ts";
import { unitsOf, type Case } from "./cases.ts";
import { measure, warm } from "./measure.ts";
import { Pair } from "./pair.ts";
import type { Row, Sample } from "./results.ts";
import type { System } from "./systems.ts";
import { cpuText, rateText } from "./table.ts";

export type Plan = {
  readonly cases: readonly Case[];
  readonly systems: readonly System[];
  readonly arguments: Arguments;
  /** Once aborted, nothing new is started: `run` ends with the current measurement. */
  readonly stop: AbortSignal;
};

export type Progress = (line: string) => void;

/** A case that fails altogether is reported and has no sample: the others continue. */
export class Bench {
  readonly rows: Row[] = [];
  readonly failures: string[] = [];
  readonly #plan: Plan;
  readonly #progress: Progress;
  readonly #pairs = new Map<System, Pair>();
  #done = 0;
  #began = 0;

  constructor(plan: Plan, progress: Progress) {
    this.#plan = plan;
    this.#progress = progress;
  }

  async run(): Promise<void> {
    await this.#setUp();
    this.#began = performance.now();
    for (let round = 0; round < this.#plan.arguments.rounds; round += 1)
      for (const one of this.#plan.cases)
        for (const system of inTurn(one, this.#plan.systems, round))
          await this.#measure(one, system, round);
  }

  /** Ends all processes in the pods, and removes the pods. */
  async dispose(): Promise<void> {
    for (const pair of this.#pairs.values()) await pair.dispose();
    this.#pairs.clear();
  }

  async #setUp(): Promise<void> {
    for (const system of this.#plan.systems) {
      if (this.#plan.stop.aborted) return;
      this.#progress(`setting up: ${system.title}`);
      const pair = await Pair.make(system.name, system.setUp);
      this.#pairs.set(system, pair);
      await warm(pair);
    }
  }

  async #measure(one: Case, system: System, round: number): Promise<void> {
    const pair = this.#pairs.get(system);
    if (pair === undefined || this.#plan.stop.aborted) return;
    const { seconds, rounds } = this.#plan.arguments;
    const total = measurements(this.#plan);
    const where = `${one.title}, ${system.title}`;
    this.#done += 1;
    const head = `[${String(this.#done).padStart(3)}/${total}] round ${round + 1}/${rounds}  ${where.padEnd(50)}`;
    try {
      const sample = await this.#take(one, system, pair, seconds);
      this.#rowOf(one, system).samples.push(sample);
      this.#progress(`${head} ${told(one, sample)}  ${this.#left(total)}`);
    } catch (error) {
      this.failures.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
      this.#progress(`${head} FAILED: ${this.failures.at(-1) ?? ""}`);
    }
  }

  /** Memory is measured on freshly started proxies. */
  async #take(one: Case, system: System, pair: Pair, seconds: number): Promise<Sample> {
    if (one.work.kind !== "standing") return await measure(pair, one, seconds);
    const fresh = await Pair.make(system.name, system.setUp);
    try {
      return await measure(fresh, one, seconds);
    } finally {
      await fresh.dispose();
    }
  }

  #rowOf(one: Case, system: System): Row {
    const found = this.rows.find((row) => row.case === one.name && row.system === system.name);
    if (found !== undefined) return found;
    const row: Row = { case: one.name, system: system.name, samples: [] };
    this.rows.push(row);
    return row;
  }

  #left(total: number): string {
    const each = (performance.now() - this.#began) / this.#done;
    return `(${Math.ceil((each * (total - this.#done)) / 1000)} s left)`;
  }
}

/**
 * Without TLS there is no handshake, and without a proxy nothing that could resume a session. Cleartext takes at most
 * half of this proxy's connections, each with two descriptors: less than 5,000 with the usual 20,000.
 */
export function applies({ work }: Case, { tls, carriers }: System): boolean {
  if (work.kind === "handshakes") return tls;
  if (work.kind === "standing") return carriers > 0 && (tls || work.count < plainConnectionsMax);
  return true;
}

function measurements({ cases, systems, arguments: { rounds } }: Plan): number {
  const pairs = cases.flatMap((one) => systems.filter((system) => applies(one, system)));
  return pairs.length * rounds;
}

/** Rotates the order, so that no system is always first. */
function inTurn(one: Case, systems: readonly System[], round: number): readonly System[] {
  const taking = systems.filter((system) => applies(one, system));
  return round % 2 === 0 ? taking : taking.toReversed();
}

function told(one: Case, sample: Sample): string {
  const failed = sample.failed > 0 ? `, ${sample.failed} failed` : "";
  if (sample.standing !== null)
    return `${sample.standing.perConnectionKiB.toFixed(1)} KiB per connection${failed}`;
  const units = unitsOf(one.work);
  const cpu = sample.cpu === null ? "" : `, ${cpuText(sample.cpu, units)} ${units.cpu}`;
  return `${rateText(sample.rate ?? 0, units)} ${units.rate}${cpu}${failed}`;
}

const plainConnectionsMax = 4000;
