/** Reads the command-line table from commander, so that help, completions and the man page match it. */
import type { Command, Option } from "commander";

import type { CommandRow, OptionRow } from "../help/table.ts";

/** The program itself first, then the visible commands. */
export function tableOf(program: Command): readonly CommandRow[] {
  const commands = program.createHelp().visibleCommands(program);
  return [program, ...commands].map((command) => ({
    name: command === program ? "" : command.name(),
    about: command.description(),
    arguments: command.registeredArguments.map((argument) =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
    ),
    options: command.options.filter(({ hidden }) => !hidden).map(rowOf),
  }));
}

/** A default that is computed later is at the end of the description: options.ts, `add`. */
function rowOf(option: Option): OptionRow {
  const said = / \(default: (.*)\)$/.exec(option.description);
  return {
    flags: option.flags,
    long: option.long ?? null,
    short: option.short ?? null,
    about: said === null ? option.description : option.description.slice(0, said.index),
    default: option.defaultValueDescription ?? said?.[1] ?? "",
    environment: option.envVar ?? null,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
  };
}
