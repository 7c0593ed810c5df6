/** Lines on stderr with klog's header, as the seed wrote them: `I0729 15:34:17.034015       1 outbound] …`. */

export type Severity = "I" | "W" | "E" | "F";

export type Log = {
  /** 0 by default; a message of a higher level is left out. */
  readonly verbosity: number;
  readonly write: (severity: Severity, source: string, message: string) => void;
};

/** Writes to `sink` (stderr by default) and never throws: a closed stderr loses lines, not connections. */
export function makeLog(verbosity: number, sink: (line: string) => void = toStderr): Log {
  return {
    verbosity,
    write: (severity, source, message) => {
      sink(formatLine(new Date(), severity, source, message));
    },
  };
}

/** klog's header with the source's name in place of file:line, which a bundle does not have. */
export function formatLine(
  time: Date,
  severity: Severity,
  source: string,
  message: string,
): string {
  const date = two(time.getMonth() + 1) + two(time.getDate());
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const micros = String(time.getMilliseconds() * 1000).padStart(6, "0");
  const pid = String(process.pid).padStart(7);
  return `${severity}${date} ${clock}.${micros} ${pid} ${source}] ${escapeText(message)}\n`;
}

/** Text from outside with nothing that could forge a line or move a terminal's cursor. */
export function escapeText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028\u2029\uD800-\uDFFF]/g, escapeCode);
}

function escapeCode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

let listening = false;

function toStderr(line: string): void {
  if (!listening) process.stderr.on("error", () => undefined);
  listening = true;
  process.stderr.write(line);
}
