/** `tproxy [run]`: the proxy itself. */
import type { Command } from "commander";

import { EndSignals } from "../lifecycle/signals.ts";
import { makeLog } from "../log/log.ts";
import type { Config } from "../config.ts";
import { startProxy } from "../proxy.ts";
import {
  addCredentialOptions,
  addInterceptionOptions,
  addLimitOptions,
  addListenOptions,
  addOtherOptions,
  configOf,
  type RunFlags,
} from "./options.ts";
import { formatDuration } from "./values.ts";

/** Makes running the proxy what the program does without a command. */
export function runCommand(program: Command): void {
  addCredentialOptions(program);
  addInterceptionOptions(program);
  addListenOptions(program);
  addLimitOptions(program);
  addOtherOptions(program);
  program.action(async (flags: RunFlags) => {
    await run(flags);
  });
}

async function run(flags: RunFlags): Promise<void> {
  const config = configOf(flags, process.env);
  const log = makeLog(config.log);
  const signals = new EndSignals();
  const proxy = startProxy(config, log);
  log.write("I", "proxy", "ready");
  const signal = await signals.next();
  log.write(
    "I",
    "proxy",
    `${signal}: ${proxy.connections()} connections are served to their end, for ${drainText(config)} at most; a second signal ends them`,
  );
  log.write("I", "proxy", `ending: ${await proxy.drain(signals.next())}`);
  proxy.stop();
  await log.end();
}

function drainText({ limits }: Config): string {
  return formatDuration(limits.drainMsMax);
}
