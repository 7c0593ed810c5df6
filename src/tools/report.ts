/** What `--json` prints: one object of the same form for every command. The topic `json` describes it. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { escapeLines } from "../runtime/log/escape.ts";

/** info: an entry of a list, neither good nor bad. */
export type ItemLevel = "good" | "info" | "warning" | "bad";

export type Item = {
  /** A stable word in kebab-case: item-ids.ts. */
  readonly id: string;
  readonly level: ItemLevel;
  /** The text output on one line. */
  readonly message: string;
  /** What to do, if anything. */
  readonly remedy?: string;
  /** Further fields, by the item's id. */
  readonly [field: string]: unknown;
};

export type Report = {
  readonly command: string;
  /** Whether the exit code is 0. */
  readonly ok: boolean;
  readonly items: readonly Item[];
};

/** Characters that could mislead a terminal are written as JSON escapes them. Ends with a line feed. */
export function formatReport({ command, ok, items }: Report): string {
  const whole = { schema: schemaVersion, command, ok, items };
  return `${escapeLines(JSON.stringify(whole, null, 2))}\n`;
}

/** An entry of a list. */
export function info(id: string, message: string, fields: Record<string, unknown> = {}): Item {
  return { id, level: "info", message, ...fields };
}

/** Why a command has failed: one item for each error. */
export function failureReport(command: string, error: ProxyError): Report {
  const id = error.code.toLowerCase().replaceAll("_", "-");
  const messages = error.parts.length === 0 ? [error.message] : error.parts;
  const items = messages.map((message): Item => {
    const line = /^(?:\S+:)?(?:line )?(\d+)[,:] /.exec(message)?.[1];
    const item = { id, level: "bad", message } as const;
    return line === undefined ? item : Object.assign(item, { line: Number(line) });
  });
  return { command, ok: false, items };
}

/** Changes only if a field is removed or changes its meaning. */
const schemaVersion = 1;
