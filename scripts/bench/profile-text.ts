/** What profilers have written, as lists of where the time goes, most first. Pure. */

export type Part = {
  readonly what: string;
  /** Of all samples, in percent. */
  readonly percent: number;
};

/** What `bun --cpu-prof` writes, as far as it is read here: a tree of functions, and where it was each millisecond. */
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
  /** Milliseconds or so in which JavaScript, or what it has called, was running. */
  readonly samples: number;
  readonly functions: readonly Part[];
};

/**
 * Functions by the time that they took themselves. Samples are counted, not the times between them: those hold the
 * time in which the loop was waiting as well.
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

/** Lines of `perf report --field-separator '|'`: one or two percentages, then what they are of; the first one counts. */
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

/** System calls, from a report that counts callers: the kernel's entries for them, by their own names. */
export function systemCallsOf(parts: readonly Part[]): Part[] {
  return parts.flatMap(({ what, percent }) => {
    const name = /__(?:x64|arm64)_sys_(\w+)/.exec(what)?.[1];
    return name === undefined ? [] : [{ what: name, percent }];
  });
}

/** Bun is stripped of its symbols: an address tells nobody anything. */
export function namedOf(parts: readonly Part[]): Part[] {
  return parts.filter(({ what }) => !what.includes(" 0x"));
}

/** The first so many that are worth a line. */
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
