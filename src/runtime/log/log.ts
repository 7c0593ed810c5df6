/** The log: one event a line, limited in rate and in memory, and never delaying traffic. */
import { formatJson, formatText, type Fields, type Severity } from "./format.ts";
import { Sampler } from "./sampler.ts";
import { BoundedSink, type Sink } from "./sink.ts";

export type Log = {
  /** 0 by default; messages of a higher level are omitted. */
  readonly verbosity: number;
  /** `fields` appear only in JSON: the message contains the same. */
  readonly write: (severity: Severity, source: string, message: string, fields?: Fields) => void;
  /**
   * Like `write`, for lines that come with every connection: composed only if it is written, and batched with others.
   */
  readonly writeMade: (severity: Severity, source: string, made: Made) => void;
  /** Reports what was omitted, and waits until stderr has accepted everything, half a second at most. */
  readonly end: () => Promise<void>;
};

/** A line that is not composed yet. */
export type Made = { readonly message: () => string; readonly fields: () => Fields };

export type LogOptions = {
  /** 0 logs one line per connection; higher levels log more. */
  readonly verbosity: number;
  readonly format: "text" | "json";
  /** Lines per second for one source and severity; the rest is omitted and counted. */
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
