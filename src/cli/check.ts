/** `tproxy check`: will it work here, and if not, what is to be done. */
import { Option, type Command } from "commander";

import { findCredentials } from "../check/credentials.ts";
import {
  bad,
  formatLines,
  formatSections,
  formatSectionsJson,
  good,
  isWell,
  type Finding,
  type Section,
} from "../check/finding.ts";
import { findKernel, tryKernel } from "../check/kernel.ts";
import {
  findLimits,
  findPorts,
  findPrivileges,
  findSettings,
  type Wanted,
} from "../check/machine.ts";
import { findNeighbours } from "../check/neighbours.ts";
import { ProxyError } from "../errors.ts";
import { planOf } from "../intercept/plan.ts";
import {
  addCredentialOptions,
  addInterceptionOptions,
  addLimitOptions,
  addListenOptions,
  assertCareful,
  credentialFilesOf,
  interceptionOf,
  type CredentialFlags,
  type InterceptionFlags,
  type LimitFlags,
} from "./options.ts";
import { selfCommand } from "./self.ts";

type CheckFlags = CredentialFlags & InterceptionFlags & LimitFlags & { readonly json?: boolean };

export function checkCommand(program: Command): void {
  const command = program.command("check");
  command.description("look whether a proxy with these options would work here; changes nothing");
  command.addOption(new Option("--json", "one object, for programs"));
  addCredentialOptions(command);
  addInterceptionOptions(command);
  addListenOptions(command);
  addLimitOptions(command);
  command.action((flags: CheckFlags) => {
    check(flags);
  });
  program.command("check-inside", { hidden: true }).action(() => {
    process.stdout.write(formatLines(tryKernel()));
  });
}

/** Exit code 1 if something is bad. */
function check(flags: CheckFlags): void {
  const sections = sectionsOf(flags);
  const colour = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  const text =
    flags.json === true ? formatSectionsJson(sections) : formatSections(sections, colour);
  process.stdout.write(text);
  process.exitCode = isWell(sections) ? 0 : 1;
}

/** What a start would refuse on a host. */
function scopeFinding(flags: InterceptionFlags): Finding {
  try {
    assertCareful(flags);
    return good("scope");
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return bad("scope", error.message, "See On a plain host in README.");
  }
}

function sectionsOf(flags: CheckFlags): readonly Section[] {
  const interception = interceptionOf(flags, process.env);
  const { statusAddress, connections: connectionsMax } = flags;
  const wanted: Wanted = { interception, statusAddress, connectionsMax };
  return [
    { title: "Configuration", findings: [scopeFinding(flags)] },
    { title: "Kernel", findings: findKernel([...selfCommand(), "check-inside"]) },
    {
      title: "Privileges and limits",
      findings: [...findPrivileges(wanted), ...findLimits(wanted)],
    },
    { title: "Credentials", findings: findCredentials(credentialFilesOf(flags), Date.now()) },
    { title: "Ports", findings: findPorts(wanted) },
    {
      title: "Network namespace",
      findings: [...findSettings(), ...findNeighbours(planOf(interception))],
    },
  ];
}
