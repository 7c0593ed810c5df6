/** `tls-tproxy check`: whether the proxy will work here, and if not, the remedies. */
import { Option, type Command } from "commander";

import * as credentials from "../tools/check/credentials.ts";
import {
  bad,
  formatLines,
  formatSections,
  good,
  isWell,
  itemsOf,
  warning,
  type Finding,
  type Section,
} from "../tools/check/finding.ts";
import { findKernel, tryKernel } from "../tools/check/kernel.ts";
import {
  findLimits,
  findPorts,
  findPrivileges,
  findSettings,
  wirePortsFinding,
  type CheckedLimits,
} from "../tools/check/machine.ts";
import { findNeighbours } from "../tools/check/neighbours.ts";
import { findPreexisting } from "../tools/check/preexisting.ts";
import { findProbes } from "../tools/check/probes.ts";
import { findTrial, notTried } from "../tools/check/trial.ts";
import { type PolicySource, judgedPolicy } from "../policy/policy-file.ts";
import { ProxyError } from "../runtime/errors.ts";
import { askReadiness } from "../status/ask.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { formatPorts } from "../net/ports.ts";
import { interceptionOf } from "../intercept/rules/interception.ts";
import { resolversText } from "../policy/resolvers.ts";
import type { Policy } from "../policy/policy.ts";
import type {
  CredentialFlags,
  InterceptionFlags,
  LimitFlags,
  PreexistingFlags,
  ProbeFlags,
  PrivilegeFlags,
} from "./flags.ts";
import {
  addCredentialOptions,
  addInterceptionOptions,
  addLimitOptions,
  addListenOptions,
  addPolicyOptions,
  addPreexistingOption,
  addPrivilegeOptions,
} from "./options.ts";
import {
  fixedOf,
  locateCredentials,
  policySourceOf,
  preexistingOf,
  privilegesOf,
} from "./configuration.ts";
import { knownSettings } from "./environment.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { notesOf } from "./notes.ts";
import { addProbeOptions } from "./probes.ts";
import { selfCommand } from "./self.ts";

type CheckFlags = CredentialFlags &
  InterceptionFlags &
  LimitFlags &
  PreexistingFlags &
  ProbeFlags &
  PrivilegeFlags &
  JsonFlag & { readonly trial?: boolean };

export function checkCommand(program: Command): void {
  const command = program.command("check");
  command.description("check whether a proxy with these options would work here; changes nothing");
  addJsonOption(command);
  command.addOption(new Option("--trial", "also make trial connections, with temporary rules"));
  addCredentialOptions(command);
  addPolicyOptions(command);
  addInterceptionOptions(command);
  addPreexistingOption(command);
  addProbeOptions(command);
  addListenOptions(command);
  addLimitOptions(command);
  addPrivilegeOptions(command);
  command.action(async (flags: CheckFlags) => {
    await check(flags, command);
  });
  program.command("check-inside", { hidden: true }).action(() => {
    process.stdout.write(formatLines(tryKernel()));
  });
}

/** Exit code 1 if a finding is bad. */
async function check(flags: CheckFlags, command: Command): Promise<void> {
  const sections = await sectionsOf(flags, command);
  if (flags.json === true) {
    writeReport(command, isWell(sections), itemsOf(sections));
    return;
  }
  const colour = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  process.stdout.write(formatSections(sections, colour));
  process.exitCode = isWell(sections) ? 0 : 1;
}

/** The policy, or why a start would refuse it. */
function policyFinding(source: PolicySource): {
  readonly policy: Policy;
  readonly finding: Finding;
} {
  try {
    const policy = judgedPolicy(source, null);
    return { policy, finding: good("scope", scopeText(policy, source.file)) };
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    const remedy = "See tls-tproxy help policy, and tls-tproxy help host.";
    return { policy: source.base, finding: bad("scope", error.message, remedy) };
  }
}

function resolverFindings({ outbound }: Policy, file: string): readonly Finding[] {
  const { resolvers, dnsTcp } = outbound;
  if (resolvers.length === 0) return [];
  return [
    good("dns-over-tcp", `${resolversText(resolvers, file)} (--dns-tcp leave, ${dnsTcp.origin})`),
  ];
}

/** A scope of ports leaves the rest of the mesh in cleartext, which must be visible. */
function scopeText({ outbound: { ports } }: Policy, file: string | null): string {
  const whence = file ?? "by options alone";
  if (ports.value === "all") return whence;
  const only = ports.value.map(formatPorts).join(", ");
  return `${whence}; outbound only ports ${only} (${ports.origin}): connections to others are in cleartext`;
}

async function sectionsOf(flags: CheckFlags, command: Command): Promise<readonly Section[]> {
  const source = policySourceOf(flags, command, process.env, false);
  const { policy, finding } = policyFinding(source);
  const isHost = source.lockoutGuard !== null;
  const mode = preexistingOf(flags, isHost, flags.rules);
  const held = privilegesOf(flags, false, isHost);
  const privileges = flags.rules === "external" ? "external" : held;
  const fixed = fixedOf(flags, process.env);
  const notes = notesOf(source, fixed, {
    environment: process.env,
    known: knownSettings(command.parent ?? command),
  });
  const { statusAddress, connections: connectionsMax } = flags;
  const wirePorts = flags.wirePorts ?? null;
  const memoryBytesMax = flags.memory ?? null;
  const limits = { connectionsMax, memoryBytesMax };
  const wanted: CheckedLimits = { fixed, statusAddress, ...limits, wirePorts, privileges };
  const files = locateCredentials(flags)?.files ?? null;
  const own = files === null ? null : { credentials: files, tlsVersionMin: flags.tlsMin };
  const running = await askReadiness(statusAddress, askMsMax);
  return [
    {
      title: "Configuration",
      findings: [
        finding,
        ...notes.map(({ id, detail, remedy }) => warning(id, detail, remedy)),
        ...resolverFindings(policy, source.resolvConf),
        ...findProbes(fixed.probes),
      ],
    },
    {
      title: "Kernel",
      findings: findKernel([...selfCommand(), "check-inside"]).filter(
        ({ id }) => id !== "kernel-net-raw" || privileges !== "kept",
      ),
    },
    {
      title: "Privileges and limits",
      findings: [...findPrivileges(wanted), ...findLimits(wanted)],
    },
    { title: "Credentials", findings: await credentials.findCredentials(own, policy, Date.now()) },
    {
      title: "Ports",
      findings: [...findPorts(wanted, running !== null), wirePortsFinding(wanted)],
    },
    {
      title: "Network namespace",
      findings: [
        ...findSettings(wanted),
        ...findPreexisting(policy, fixed, mode),
        ...(flags.trial === true ? findTrial(policy, fixed) : [notTried]),
        ...findNeighbours(planOf(interceptionOf(policy, fixed))),
      ],
    },
  ];
}

/** On loopback an answer takes a millisecond; without a listener the refusal takes none. */
const askMsMax = 1000;
