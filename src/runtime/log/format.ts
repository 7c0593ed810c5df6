/**
 * The two formats of a line: klog's header and text, as in the original program, or JSON. Pure except for the pid.
 */
import { escapeText, shorten } from "./escape.ts";

export type Severity = "I" | "W" | "E" | "F";

export type Fields = Readonly<Record<string, string | number | null>>;

export type LogLine = {
  /** Microseconds since 1970. */
  readonly micros: number;
  readonly severity: Severity;
  readonly source: string;
  readonly message: string;
  readonly fields: Fields;
};

/** `I0729 15:34:17.034015 1 outbound] …`: the source's name replaces file:line. Local time. */
export function formatText({ micros, severity, source, message }: LogLine): string {
  const time = new Date(micros / 1000);
  const date = two(time.getMonth() + 1) + two(time.getDate());
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const fraction = String(micros % 1_000_000).padStart(6, "0");
  const pid = String(process.pid).padStart(7);
  return `${severity}${date} ${clock}.${fraction} ${pid} ${source}] ${escapeText(shorten(message, textLengthMax))}\n`;
}

/** One object per line; time in UTC, to the microsecond: RFC 3339. */
export function formatJson({ micros, severity, source, message, fields }: LogLine): string {
  const time = new Date(Math.floor(micros / 1000)).toISOString().replace("Z", "");
  const line = {
    time: `${time}${String(micros % 1000).padStart(3, "0")}Z`,
    level: levels[severity],
    pid: process.pid,
    source,
    message: shorten(message, textLengthMax),
    ...bounded(fields),
  };
  return `${escapeText(JSON.stringify(line))}\n`;
}

/** Shortens what a peer or a file could make longer than anyone would read. */
function bounded(fields: Fields): Fields {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === "string" ? shorten(value, textLengthMax) : value,
  ]);
  return Object.fromEntries(entries);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

const levels = { I: "info", W: "warning", E: "error", F: "fatal" } as const;
/** Per message, and per field. Long enough for a stack trace. */
const textLengthMax = 8192;
