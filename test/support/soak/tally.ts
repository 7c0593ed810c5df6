/** The results of a soak test, and their final table. */

export class Tally {
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  readonly refusals = new Map<string, number>();
  /** Resident memory in kB over time, by pod. */
  readonly memory = new Map<string, number[]>();
  readonly left: string[] = [];
  bytes = 0;

  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  refuse(reason: string, times: number): void {
    if (times > 0) this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + times);
  }

  /** Records something that must never happen; the first thousand are kept. */
  violate(what: string): void {
    if (this.violations.length < 1000) this.violations.push(what);
    if (this.violations.length < 20) console.error(`soak: violation: ${what}`);
  }

  remember(pod: string, kilobytes: number): void {
    this.memory.set(pod, [...(this.memory.get(pod) ?? []), kilobytes]);
  }

  table(): string {
    return [
      section("What was done", sorted(this.counts)),
      row("bytes carried, sha256 as sent", `${(this.bytes / 1e9).toFixed(2)} GB`),
      section("Refused by the proxies, by reason", sorted(this.refusals)),
      "Resident memory, MB",
      ...[...this.memory].map(([pod, values]) => row(`proxy of ${pod}`, curve(values))),
      "Left afterwards",
      ...this.left.map((line) => `  ${line}`),
      row("violations", String(this.violations.length)),
      ...this.violations.slice(0, 20).map((line) => `    ${line}`),
    ].join("\n");
  }
}

function section(title: string, counts: readonly (readonly [string, number])[]): string {
  return [title, ...counts.map(([name, count]) => row(name, count.toLocaleString("en")))].join(
    "\n",
  );
}

function sorted(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].toSorted(([a], [b]) => a.localeCompare(b));
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(36)} ${value}`;
}

/** First, largest, last, and sixty steps between. */
function curve(values: readonly number[]): string {
  const max = Math.max(...values);
  const step = Math.max(1, values.length / 60);
  const marks = Array.from({ length: Math.min(60, values.length) }, (_, index) => {
    const value = values[Math.floor(index * step)] ?? 0;
    return bars[Math.min(7, Math.floor((value / max) * 8))] ?? "";
  });
  const [first = 0] = values;
  const numbers = [first, max, values.at(-1) ?? 0].map((value) => Math.round(value / 1024));
  return `first ${numbers[0]}, most ${numbers[1]}, last ${numbers[2]}  ${marks.join("")}`;
}

const bars = "▁▂▃▄▅▆▇█";
