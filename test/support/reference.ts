/** The option table of the topic `options`, generated from the program itself. */
import type { Command, Option } from "commander";

import { makeProgram } from "../../src/cli/program.ts";

/** Markdown: the proxy's options, then those of single commands. */
export function optionTable(): string {
  const program = makeProgram();
  const common = new Set(program.options.map(({ long }) => long));
  const rows = [program, ...program.createHelp().visibleCommands(program)].flatMap((command) =>
    command.options
      .filter((option) => !option.hidden && (command === program || !common.has(option.long)))
      .map((option) => row(command === program ? null : command, option)),
  );
  return ["| Option | Default | What it does |", "| --- | --- | --- |", ...rows].join("\n");
}

function row(command: Command | null, option: Option): string {
  const flags = `\`${command === null ? "" : `${command.name()} `}${option.flags}\``;
  const said = / \(default: (.*)\)$/.exec(option.description);
  const shown = option.defaultValueDescription ?? said?.[1] ?? "";
  const about = said === null ? option.description : option.description.slice(0, said.index);
  return `| ${flags} | ${shown} | ${about} |`;
}
