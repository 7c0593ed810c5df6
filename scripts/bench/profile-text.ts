/** The profilers' output as lists of where the time goes, largest first. Pure. */

export type Part = {
  readonly what: string;
  /** Share of all samples, in percent. */
  readonly percent: number;
};

/**
 * The output of `bun --cpu-prof`, as far as it is used here: a tree of functions, and the active one each
 * millisecond.
 */
export type CpuProfile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
};

export type JavaScript = {
  /** Milliseconds, approximately, in which JavaScript, or what it has called, was running. */
  readonly samples: number;
  readonly functions: readonly Part[];
};

/**
 * Functions by their own time. Counts samples, not the times between them, which include the time that the event loop
 * was waiting.
 */
export function functionsOf({ nodes, samples }: CpuProfile): JavaScript {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const counts = new Map<string, number>();
  for (const id of samples) {
    const name = names.get(id) ?? "?";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const functions = [...counts].map(([what, count]) => ({
    what,
    percent: (count * 100) / samples.length,
  }));
  return {
    samples: samples.length,
    functions: functions.toSorted((one, other) => other.percent - one.percent),
  };
}

/**
 * Lines of `perf report --field-separator '|'`: one or two percentages, then their subject; the first percentage
 * counts.
 */
export function partsOf(report: string): Part[] {
  return report
    .split("\n")
    .filter((line) => /^\s*\d/.test(line))
    .map((line) => {
      const fields = line.split("|").map((field) => field.trim());
      const what = fields.find((field) => !/^[\d.]+%$/.test(field)) ?? "";
      return { what, percent: Number.parseFloat(fields[0] ?? "") };
    });
}

/** System calls, from a report that counts callers: the kernel's entry points, by name. */
export function systemCallsOf(parts: readonly Part[]): Part[] {
  return parts.flatMap(({ what, percent }) => {
    const name = /__(?:x64|arm64)_sys_(\w+)/.exec(what)?.[1];
    return name === undefined ? [] : [{ what: name, percent }];
  });
}

/** Bun is stripped of its symbols: a bare address is not informative. */
export function namedOf(parts: readonly Part[]): Part[] {
  return parts.filter(({ what }) => !what.includes(" 0x"));
}

/** The first `count` that are large enough for a line. */
export function list(title: string, parts: readonly Part[], count: number): string {
  const lines = parts
    .slice(0, count)
    .filter(({ percent }) => percent >= percentMin)
    .map(({ what, percent }) => `  ${percent.toFixed(1).padStart(5)} %  ${what}`);
  return [title, ...lines].join("\n");
}

function nameOf({
  functionName,
  url,
  lineNumber,
}: CpuProfile["nodes"][number]["callFrame"]): string {
  const file = /(?:src|node_modules)\/.*$/.exec(url)?.[0] ?? url;
  const name = functionName === "" ? "(anonymous)" : functionName;
  return file === "" ? `${name}, Bun's own` : `${name}, ${file}:${lineNumber + 1}`;
}

const percentMin = 0.1;
