/** Argv in, exit code out. */
import { Command, CommanderError } from "commander";

import { normalizeArguments } from "./cli/arguments.ts";
import { rulesCommand } from "./cli/rules.ts";
import { runCommand } from "./cli/run.ts";
import { ProxyError } from "./errors.ts";

const program = new Command("tls-tproxy");
program
  .description("Transparent mutual TLS for a pod or a Linux host: applications speak plain TCP.")
  .usage("[run] [options]")
  .enablePositionalOptions()
  .exitOverride()
  .allowExcessArguments(false)
  .showHelpAfterError("(see tls-tproxy --help)");
runCommand(program);
rulesCommand(program);

process.exit(await exitCode());

/** 0 for a good end, 1 for a failure, 2 for a mistake on the command line; throws on a bug. */
async function exitCode(): Promise<number> {
  try {
    await program.parseAsync(normalizeArguments(process.argv.slice(2)), { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof ProxyError)) throw error;
    process.stderr.write(`tls-tproxy: ${error.message}\n`);
    return error.code === "USAGE" ? 2 : 1;
  }
}
