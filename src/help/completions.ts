/** Shell completions, from the command-line table. Pure. */
import type { CommandRow, OptionRow } from "./table.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** A script for the shell to load. `topics` complete `help`. */
export function completions(
  shell: Shell,
  table: readonly CommandRow[],
  topics: readonly string[],
): string {
  switch (shell) {
    case "bash":
      return bash(table, topics);
    case "zsh":
      return zsh(table, topics);
    case "fish":
      return fish(table, topics);
  }
}

/** For an option value without a short list, bash itself completes file names (-o default). */
function bash(table: readonly CommandRow[], topics: readonly string[]): string {
  const names = namesOf(table);
  const words = (row: CommandRow): string =>
    [...firstWords(row, names, topics), ...row.options.flatMap(spellings)].join(" ");
  return [
    "# bash completion for tls-tproxy: tls-tproxy completions bash >/etc/bash_completion.d/tls-tproxy",
    "_tls_tproxy() {",
    '  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command="" word',
    "  COMPREPLY=()",
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    `    case $word in ${names.join(" | ")}) command=$word && break ;; esac`,
    "  done",
    "  case $previous in",
    ...valuesOf(table).map(
      ({ spelled, choices }) =>
        `    ${spelled}) ${choices.length === 0 ? "return" : bashReply(choices.join(" "))} ;;`,
    ),
    "  esac",
    "  case $command in",
    ...table.map((row) => `    "${row.name}") ${bashReply(words(row))} ;;`),
    "  esac",
    "}",
    "complete -o default -F _tls_tproxy tls-tproxy tproxy",
    "",
  ].join("\n");
}

function bashReply(words: string): string {
  return `mapfile -t COMPREPLY < <(compgen -W "${words}" -- "$current") && return`;
}

function zsh(table: readonly CommandRow[], topics: readonly string[]): string {
  const [program, ...commands] = table;
  const cases = commands.map((row) => [
    `    ${row.name})`,
    `      _arguments ${[...zshArguments(row, topics), ...row.options.map(zshOption)].join(" \\\n        ")}`,
    "      ;;",
  ]);
  const described = commands.map(({ name, about }) => `    ${quoted(`${name}:${about}`)}`);
  return [
    "#compdef tls-tproxy tproxy",
    '# zsh completion for tls-tproxy: tls-tproxy completions zsh >"${fpath[1]}/_tls-tproxy"',
    "_tls_tproxy() {",
    "  local state line",
    "  local -a commands",
    "  commands=(",
    ...described,
    "  )",
    `  _arguments -C ${["'1:command:->command'", "'*::argument:->argument'", ...(program?.options ?? []).map(zshOption)].join(" \\\n    ")}`,
    "  if [[ $state == command ]]; then _describe command commands; return; fi",
    "  case $line[1] in",
    ...cases.flat(),
    "  esac",
    "}",
    "compdef _tls_tproxy tls-tproxy tproxy",
    "",
  ].join("\n");
}

function zshArguments({ name }: CommandRow, topics: readonly string[]): readonly string[] {
  if (name === "help") return [quoted(`1:topic:(${topics.join(" ")})`)];
  return name === "completions" ? [quoted(`1:shell:(${shells.join(" ")})`)] : [];
}

/** Brackets and colons have a meaning there. */
function zshOption(option: OptionRow): string {
  const about = option.about.replaceAll(/[[\]:]/g, (sign) => `\\${sign}`);
  const values = option.choices.length === 0 ? "_files" : `(${option.choices.join(" ")})`;
  return quoted(
    `${option.long ?? option.short}[${about}]${option.takesValue ? `:value:${values}` : ""}`,
  );
}

function fish(table: readonly CommandRow[], topics: readonly string[]): string {
  const names = namesOf(table);
  const lines = table.flatMap((row) => {
    const where =
      row.name === ""
        ? `-n ${quoted(`not __fish_seen_subcommand_from ${names.join(" ")}`)}`
        : `-n ${quoted(`__fish_seen_subcommand_from ${row.name}`)}`;
    return row.options.map((option) => `complete -c tls-tproxy ${where} ${fishOption(option)}`);
  });
  const first = `-n ${quoted(`not __fish_seen_subcommand_from ${names.join(" ")}`)} -f`;
  return [
    "# fish completion for tls-tproxy: tls-tproxy completions fish >~/.config/fish/completions/tls-tproxy.fish",
    ...table
      .filter(({ name }) => name !== "")
      .map(({ name, about }) => `complete -c tls-tproxy ${first} -a ${name} -d ${quoted(about)}`),
    `complete -c tls-tproxy -n ${quoted("__fish_seen_subcommand_from help")} -f -a ${quoted(topics.join(" "))}`,
    `complete -c tls-tproxy -n ${quoted("__fish_seen_subcommand_from completions")} -f -a ${quoted(shells.join(" "))}`,
    ...lines,
    "",
  ].join("\n");
}

function fishOption({ long, short, about, takesValue, choices }: OptionRow): string {
  return [
    ...(long === null ? [] : [`-l ${long.slice(2)}`]),
    ...(short === null ? [] : [`-s ${short.slice(1)}`]),
    ...(takesValue ? ["-r"] : []),
    ...(choices.length === 0 ? [] : [`-f -a ${quoted(choices.join(" "))}`]),
    `-d ${quoted(about)}`,
  ].join(" ");
}

/** The possible first words: the program's commands, or for `help` the topics. */
function firstWords(
  { name }: CommandRow,
  names: readonly string[],
  topics: readonly string[],
): readonly string[] {
  if (name === "") return names;
  if (name === "help") return [...topics, ...names];
  return name === "completions" ? shells : [];
}

/** Options that take a value, without duplicates: `--cert|-c`. */
function valuesOf(
  table: readonly CommandRow[],
): readonly { readonly spelled: string; readonly choices: readonly string[] }[] {
  const all = new Map<string, readonly string[]>();
  for (const { options } of table)
    for (const option of options)
      if (option.takesValue) all.set(spellings(option).join(" | "), option.choices);
  return [...all].map(([spelled, choices]) => ({ spelled, choices }));
}

function spellings({ long, short }: OptionRow): readonly string[] {
  return [long, short].filter((one) => one !== null);
}

function namesOf(table: readonly CommandRow[]): readonly string[] {
  return table.map(({ name }) => name).filter((name) => name !== "");
}

/** Quotes any text as one shell word. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
