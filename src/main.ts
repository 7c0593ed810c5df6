/** Argv in, exit code out. */
import { CommanderError } from "commander";

import { normalizeArguments } from "./cli/arguments.ts";
import { takeOutForeign } from "./cli/environment.ts";
import { makeProgram } from "./cli/program.ts";
import { writeFailure } from "./cli/json.ts";
import { ProxyError } from "./runtime/errors.ts";
import { escapeLines } from "./runtime/log/escape.ts";

const code = await exitCode();
const lost = await lostOutput();
if (lost !== null) process.stderr.write(`tls-tproxy: stdout takes no more: ${lost}\n`);
process.exit(lost === null ? code : 1);

/** 0 for success, 1 for a failure, 2 for an error on the command line; throws on a bug. */
async function exitCode(): Promise<number> {
  const args = normalizeArguments(process.argv.slice(2));
  const program = makeProgram();
  try {
    takeOutForeign(process.env);
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      writeFailure(program, args, new ProxyError("USAGE", mistakeOf(error)));
      return 2;
    }
    if (!(error instanceof ProxyError)) throw error;
    writeFailure(program, args, error);
    process.stderr.write(`tls-tproxy: ${escapeLines(error.message)}\n`);
    return error.code === "USAGE" ? 2 : 1;
  }
}

/**
 * Waits until stdout has taken everything: a pipe takes 64 KiB at once, and process.exit drops the rest. Resolves to the
 * error of a failed write, or null. A reader that has closed its end wants no more.
 */
async function lostOutput(): Promise<string | null> {
  return await new Promise((resolve) => {
    process.stdout.once("error", ({ code: reason = "unknown error" }: NodeJS.ErrnoException) => {
      resolve(reason === "EPIPE" ? null : reason);
    });
    process.stdout.end(() => {
      resolve(null);
    });
  });
}

function mistakeOf({ message }: CommanderError): string {
  return message.replace(/^error: /, "");
}
