/** `tls-tproxy [run]`: the proxy itself. */
import { rulesAloneVariable, startRepairProcess, dropPrivileges } from "../proxy/privileges.ts";
import { readPolicy } from "../reload/policy-store.ts";
import { readOwnCredentials } from "../reload/own-credentials.ts";
import type { Command } from "commander";

import { takeHandedState, type HandedState } from "../proxy/reexec.ts";
import { EndSignals } from "../proxy/signals.ts";
import { confirmed } from "../proxy/confirmation.ts";
import { makeLog, type Log } from "../runtime/log/log.ts";
import { ProxyError } from "../runtime/errors.ts";
import type { Config } from "../config.ts";
import { keepMemoryPrivate } from "../native/secrecy.ts";
import { startProxy } from "../proxy/start.ts";
import { configOf } from "./configuration.ts";
import type { RunFlags } from "./flags.ts";
import {
  addCredentialOptions,
  addInterceptionOptions,
  addLimitOptions,
  addListenOptions,
  addOtherOptions,
  addPolicyOptions,
  addPreexistingOption,
  addPrivilegeOptions,
} from "./options.ts";
import { sayRules } from "./rules-alone.ts";
import { knownSettings, type Note } from "./environment.ts";
import { notesOf } from "./notes.ts";
import { addProbeOptions } from "./probes.ts";
import { formatDuration } from "./values.ts";

/** Makes running the proxy the default command. */
export function runCommand(program: Command): void {
  addCredentialOptions(program);
  addPolicyOptions(program);
  addInterceptionOptions(program);
  addPreexistingOption(program);
  addProbeOptions(program);
  addListenOptions(program);
  addLimitOptions(program);
  addPrivilegeOptions(program);
  addOtherOptions(program);
  program.action(async (flags: RunFlags) => {
    if (flags.policy === "-") throw new ProxyError("USAGE", noStandardInput);
    const config = configOf(flags, program, process.env);
    const notes = notesOf(config.policy, config.fixed, {
      environment: process.env,
      known: knownSettings(program),
    });
    keepMemoryPrivate();
    if (process.env[rulesAloneVariable] !== undefined) {
      sayRules(config);
      return;
    }
    await run(config, notes, config.privileges === "dropped" ? takeHandedState() : null);
  });
}

async function run(
  config: Config,
  notes: readonly Note[],
  handed: HandedState | null,
): Promise<void> {
  const log = makeLog(config.log);
  const policy = readPolicy(config.policy); // Errors in options come before those in files.
  const drops = config.privileges === "dropped" && handed === null;
  const repairProcess = drops ? startRepairProcess(config.command) : null;
  const first = { policy, credentials: await readOwnCredentials(config) };
  // It re-executes itself: a termination request before that must not wait.
  if (drops) dropPrivileges(config, log, { first, repairProcess });
  for (const { detail, remedy } of notes) log.write("W", "configuration", `${detail}. ${remedy}`);
  const signals = new EndSignals();
  const proxy = startProxy(config, log, { handed, first });
  process.on("SIGHUP", proxy.reload);
  log.write("I", "proxy", "ready");
  const ended = signals.next();
  if (await untilConfirmed(config, log, ended)) {
    const signal = await ended;
    log.write("I", "proxy", `${signal}: ${serving(proxy.connections(), config)}`);
    log.write("I", "proxy", `ending: ${await proxy.drain(signals.next())}`);
    proxy.stop({ removeRules: config.removeRulesOnExit });
  } else {
    proxy.stop({ removeRules: true });
    process.exitCode = 1;
  }
  await log.end();
}

/** False without confirmation in time. A termination signal also counts as an answer. */
async function untilConfirmed(
  { confirmMsMax, fixed }: Config,
  log: Log,
  ended: Promise<unknown>,
): Promise<boolean> {
  if (confirmMsMax === null) return true;
  const time = formatDuration(confirmMsMax);
  const port = fixed.tcpPort === 1 ? "" : ` --tcp-port ${fixed.tcpPort}`;
  log.write(
    "W",
    "proxy",
    `the rules are removed in ${time} unless you run: tls-tproxy confirm${port}`,
  );
  const kept = await Promise.race([confirmed(confirmMsMax), ended.then(() => true)]);
  if (kept) log.write("I", "proxy", "confirmed, or ended by a signal: the trial is over");
  else
    log.write(
      "E",
      "proxy",
      `no confirmation within ${time}: the rules are removed, and the proxy ends`,
    );
  return kept;
}

function serving(connections: number, { limits }: Config): string {
  const time = formatDuration(limits.drainMsMax);
  return `${connections} connections are served to their end, for ${time} at most; a second signal ends them`;
}

const noStandardInput =
  "--policy -: a running proxy reads its policy again when the file changes, so it needs a file";
