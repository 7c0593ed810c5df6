/** `tproxy selftest`: does this executable work on this machine; and `tproxy version`: how it was built. */
import { Option, type Command } from "commander";

import { build } from "../runtime/build.ts";
import {
  bad,
  formatSections,
  good,
  isWell,
  type Finding,
  type Section,
} from "../tools/check/finding.ts";
import { trialsOf, type Trial } from "../tools/selftest/trials.ts";
import { selfCommand } from "./self.ts";
import { count } from "./values.ts";

export function selftestCommand(program: Command): void {
  const command = program.command("selftest");
  command.description("test whether this executable works on this machine; needs no privileges");
  command.addOption(
    new Option("--handshakes <count>", "number of TLS handshakes in the test of memory")
      .argParser(count)
      .default(10_000),
  );
  command.action(async ({ handshakes }: { readonly handshakes: number }) => {
    await selftest(handshakes);
  });
}

export function versionCommand(program: Command): void {
  const command = program.command("version");
  command.description("show the version, and how this executable was built");
  command.action(() => {
    for (const [name, value] of Object.entries(build))
      process.stdout.write(`${name.padEnd(9)}${value}\n`);
  });
}

/** Exit code 1 if something does not work. */
async function selftest(handshakes: number): Promise<void> {
  const progress = (done: number): void => {
    if (process.stderr.isTTY)
      process.stderr.write(`\r${done} of ${handshakes} handshakes\u001B[K\r`);
  };
  const findings: Finding[] = [];
  for (const trial of trialsOf({ self: selfCommand(), handshakes, progress }))
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    findings.push(await findingOf(trial));
  const sections: readonly Section[] = [{ title: "Selftest", findings }];
  const colour = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  process.stdout.write(formatSections(sections, colour, advice));
  process.exitCode = isWell(sections) ? 0 : 1;
}

async function findingOf({ title, run }: Trial): Promise<Finding> {
  try {
    return good(title, await run());
  } catch (error) {
    return bad(title, error instanceof Error ? error.message : String(error), remedy);
  }
}

const advice = {
  well: "This executable works on this machine.",
  bad: "This executable does not work on this machine.",
};
const remedy = "Please report it, with the output of tls-tproxy version and uname -a.";
