/** `tls-tproxy completions`: shell completions, from the same table as the help. */
import { Argument, type Command } from "commander";

import { completions, shells, type Shell } from "../help/completions.ts";
import { topics } from "../help/topics.ts";
import { tableOf } from "./table.ts";

export function completionsCommand(program: Command): void {
  const command = program.command("completions");
  command.description("print completions for a shell: bash, zsh or fish");
  command.addArgument(new Argument("<shell>", "the shell").choices(shells));
  command.action((shell: Shell) => {
    const names = topics.map(({ name }) => name);
    process.stdout.write(completions(shell, tableOf(program), names));
  });
}
