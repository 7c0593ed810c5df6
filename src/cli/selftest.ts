/**
 * `tls-tproxy selftest`: whether this executable works on this machine; and `tls-tproxy version`: how it was built.
 */
import { Option, type Command } from "commander";

import { build } from "../runtime/build.ts";
import {
  bad,
  formatSections,
  good,
  isWell,
  itemsOf,
  type Finding,
  type Section,
} from "../tools/check/finding.ts";
import { info } from "../tools/report.ts";
import { trialsOf, type Trial } from "../tools/selftest/trials.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { selfCommand } from "./self.ts";
import { count } from "./values.ts";

type SelftestFlags = JsonFlag & { readonly handshakes: number };

export function selftestCommand(program: Command): void {
  const command = program.command("selftest");
  command.description("test whether this executable works on this machine; needs no privileges");
  command.addOption(
    new Option("--handshakes <count>", "number of TLS handshakes in the memory test")
      .argParser(count)
      .default(10_000),
  );
  addJsonOption(command);
  command.action(async (flags: SelftestFlags) => {
    await selftest(flags, command);
  });
}

export function versionCommand(program: Command): void {
  const command = program.command("version");
  command.description("show the version, and how this executable was built");
  addJsonOption(command);
  command.action(({ json = false }: JsonFlag) => {
    const all = Object.entries(build);
    if (json)
      writeReport(
        command,
        true,
        all.map(([name, value]) => info(name, `${name} ${value}`, { value })),
      );
    else for (const [name, value] of all) process.stdout.write(`${name.padEnd(9)}${value}\n`);
  });
}

/** Exit code 1 if something does not work. */
async function selftest({ handshakes, json }: SelftestFlags, command: Command): Promise<void> {
  const progress = (done: number): void => {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${done} of ${handshakes} handshakes\u001B[K\r`);
  };
  const findings: Finding[] = [];
  for (const trial of trialsOf({ self: selfCommand(), handshakes, progress }))
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    findings.push(await findingOf(trial));
  const sections: readonly Section[] = [{ title: "Selftest", findings }];
  if (json === true) {
    writeReport(command, isWell(sections), itemsOf(sections));
    return;
  }
  const colour = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  process.stdout.write(formatSections(sections, colour, advice));
  process.exitCode = isWell(sections) ? 0 : 1;
}

async function findingOf({ id, run }: Trial): Promise<Finding> {
  try {
    return good(id, await run());
  } catch (error) {
    return bad(id, error instanceof Error ? error.message : String(error), remedy);
  }
}

const advice = {
  well: "This executable works on this machine.",
  bad: "This executable does not work on this machine.",
};
const remedy = "Please report it, with the output of tls-tproxy version and uname -a.";
