/** What the proxy says: one event a line, bounded in rate and in memory, never in the way of traffic. */
import { formatJson, formatText, type Fields, type Severity } from "./format.ts";
import { Sampler } from "./sampler.ts";
import { BoundedSink, type Sink } from "./sink.ts";

export type Log = {
  /** 0 by default; a message of a higher level is left out. */
  readonly verbosity: number;
  /** `fields` are for the JSON form only: the message says the same. */
  readonly write: (severity: Severity, source: string, message: string, fields?: Fields) => void;
  /** As `write`, for what comes with every connection: made only if it is written, and not alone. */
  readonly writeMade: (severity: Severity, source: string, made: Made) => void;
  /** Says what was left out until now, and waits until stderr has it all, half a second at most. */
  readonly end: () => Promise<void>;
};

/** A line that is yet to be made. */
export type Made = { readonly message: () => string; readonly fields: () => Fields };

export type LogOptions = {
  /** 0 logs one line a connection; higher says more. */
  readonly verbosity: number;
  readonly format: "text" | "json";
  /** Lines a second of one source and severity; more are left out and counted. */
  readonly linesMax: number;
};

/** Writes to `sink` (stderr by default) and never throws: a closed stderr loses lines, not connections. */
export function makeLog(options: LogOptions, sink?: Sink): Log {
  const form = options.format === "json" ? formatJson : formatText;
  const line = (severity: Severity, source: string, message: string, fields: Fields): string =>
    form({ micros: microsNow(), severity, source, message, fields });
  const lineOfLost = (lines: number): string =>
    line("W", "log", `stderr was not read: ${lines} lines are lost`, { lost: lines });
  const into = sink ?? new BoundedSink(Bun.stderr.writer(), lineOfLost);
  const put = (...parts: Parameters<typeof line>): void => {
    into.write(line(...parts));
  };
  const sampler = new Sampler(options.linesMax, (leftOut) => {
    const total = leftOut.reduce((sum, { lines }) => sum + lines, 0);
    const parts = leftOut.map(({ kind, lines }) => `${kind}=${lines}`).join(" ");
    put("W", "log", `left out ${total} lines in the last second: ${parts}`, { left_out: total });
  });
  return {
    verbosity: options.verbosity,
    write: (severity, source, message, fields = {}) => {
      if (sampler.admit(`${source}/${severity}`)) put(severity, source, message, fields);
    },
    writeMade: (severity, source, { message, fields }) => {
      if (!sampler.admit(`${source}/${severity}`)) return;
      const known = options.format === "json" ? fields() : {};
      into.writeLater(line(severity, source, message(), known));
    },
    end: async () => {
      sampler.flush();
      await into.end();
    },
  };
}

/** Microseconds since 1970. */
function microsNow(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
