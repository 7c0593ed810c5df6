/** `--json`: the option, and the one place that writes the object. */
import { Option, type Command } from "commander";

import { failureReport, formatReport, type Item } from "../tools/report.ts";
import type { ProxyError } from "../runtime/errors.ts";

export type JsonFlag = { readonly json?: boolean };

export function addJsonOption(command: Command): void {
  command.addOption(new Option("--json", "print one JSON object (tls-tproxy help json)"));
}

/** `ok` decides on the exit code: 0 or 1. */
export function writeReport(command: Command, ok: boolean, items: readonly Item[]): void {
  process.stdout.write(formatReport({ command: command.name(), ok, items }));
  process.exitCode = ok ? 0 : 1;
}

/** The failure of a command with `--json`: an object on stdout, in addition to the message on stderr. */
export function writeFailure(program: Command, args: readonly string[], error: ProxyError): void {
  const command = jsonCommandOf(program, args);
  if (command !== null) process.stdout.write(formatReport(failureReport(command, error)));
}

/** The name of the command if it has the option and the option is given. */
function jsonCommandOf(program: Command, args: readonly string[]): string | null {
  const end = args.indexOf("--");
  const given = end === -1 ? args : args.slice(0, end);
  const command = program.commands.find((one) => one.name() === given[0]);
  const hasOption = command?.options.some(({ long }) => long === "--json") ?? false;
  return hasOption && given.includes("--json") ? (given[0] ?? null) : null;
}
