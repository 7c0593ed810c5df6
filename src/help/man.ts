/** The manual page for man(1), in man(7) macros, from the command-line table and the topics. Pure. */
import type { CommandRow, OptionRow } from "./table.ts";
import type { Topic } from "./topic.ts";

export type Page = {
  readonly version: string;
  readonly table: readonly CommandRow[];
  readonly topics: readonly Topic[];
  readonly exitCodes: readonly (readonly [code: number, meaning: string])[];
};

export function manPage({ version, table, topics, exitCodes }: Page): string {
  const [program, ...commands] = table;
  return [
    `.TH TLS\\-TPROXY 8 "" "tls\\-tproxy ${escaped(version)}" "System Administration"`,
    ".SH NAME",
    "tls\\-tproxy \\- transparent mutual TLS for pods and Linux hosts",
    ".SH SYNOPSIS",
    ".B tls\\-tproxy",
    "[run] [options]",
    ".br",
    ".B tls\\-tproxy",
    "command [options]",
    ".SH DESCRIPTION",
    escaped(program?.about ?? ""),
    ".SH OPTIONS",
    ...(program?.options ?? []).flatMap(optionLines),
    ".SH COMMANDS",
    ...commands.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...exitCodes.flatMap(([code, meaning]) => [".TP", `.B ${code}`, escaped(meaning)]),
    ".SH TOPICS",
    "The manual is in topics, shown by",
    ".B tls\\-tproxy help",
    ".IR topic .",
    ...topics.flatMap(({ name, summary }) => [
      ".TP",
      `.B ${escaped(name)}`,
      `${escaped(summary)}.`,
    ]),
    "",
  ].join("\n");
}

function commandLines({ name, about, arguments: words, options }: CommandRow): readonly string[] {
  const own = options.filter(({ environment }) => environment === null);
  return [
    ".TP",
    `.B ${escaped([name, ...words].join(" "))}`,
    `${escaped(about)}.`,
    ...own.flatMap((option) => [".RS"].concat(optionLines(option), ".RE")),
  ];
}

function optionLines(option: OptionRow): readonly string[] {
  const shown = option.default === "" ? "" : ` Default: ${option.default}.`;
  const variable = option.environment === null ? "" : ` Environment: ${option.environment}.`;
  return [".TP", `.B ${escaped(option.flags)}`, escaped(`${option.about}.${shown}${variable}`)];
}

/** A line that begins with a full stop or an apostrophe would be a macro: roff(7). */
function escaped(text: string): string {
  return text
    .replaceAll("\\", String.raw`\e`)
    .replaceAll("-", String.raw`\-`)
    .replaceAll(/^(?=[.'])/gm, String.raw`\&`);
}
