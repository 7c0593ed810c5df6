/** `tproxy [run]`: the proxy itself. */
import type { Command } from "commander";

import { ended } from "../lifecycle/signals.ts";
import { makeLog } from "../log.ts";
import { startProxy } from "../proxy.ts";
import {
  addCredentialOptions,
  addInterceptionOptions,
  addListenOptions,
  addOtherOptions,
  configOf,
  type RunFlags,
} from "./options.ts";

/** Makes running the proxy what the program does without a command. */
export function runCommand(program: Command): void {
  addCredentialOptions(program);
  addInterceptionOptions(program);
  addListenOptions(program);
  addOtherOptions(program);
  program.action(async (flags: RunFlags) => {
    await run(flags);
  });
}

async function run(flags: RunFlags): Promise<void> {
  const config = configOf(flags, process.env);
  const log = makeLog(config.verbosity);
  const end = ended();
  const proxy = startProxy(config, log);
  log.write("I", "proxy", "ready");
  log.write("I", "proxy", `ending on ${await end}`);
  proxy.stop();
}
