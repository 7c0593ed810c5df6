/** `tls-tproxy rules`: the rules without the proxy, to print, apply or remove. */
import { Option, type Command } from "commander";

import { type PolicySource, judgedPolicy, loadPolicy } from "../policy/policy-file.ts";
import { type Fixed, interceptionOf } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { refusedInCleartext } from "../intercept/cleartext/refused.ts";
import { install, remove } from "../intercept/kernel/install.ts";
import { listeningPorts } from "../intercept/kernel/proc-tcp.ts";
import { leaveOrReset } from "../intercept/cleartext/preexisting.ts";
import { isListening } from "../intercept/kernel/running.ts";
import { info, type Item } from "../tools/report.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { planItems } from "../intercept/rules/items.ts";
import { planText } from "../intercept/rules/text.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { reportPreexisting } from "../intercept/cleartext/report.ts";
import { ephemeralPorts } from "../net/ports.ts";
import { fixedOf, policySourceOf, preexistingOf } from "./configuration.ts";
import { resolversText } from "../policy/resolvers.ts";
import type { InterceptionFlags, PreexistingFlags, ProbeFlags } from "./flags.ts";
import {
  addInterceptionOptions,
  addListenOptions,
  addPolicyOptions,
  addPreexistingOption,
} from "./options.ts";
import { addProbeOptions } from "./probes.ts";

type RulesFlags = InterceptionFlags &
  ProbeFlags &
  JsonFlag &
  PreexistingFlags & {
    readonly print?: boolean;
    readonly apply?: boolean;
    readonly remove?: boolean;
    readonly force?: boolean;
  };

export function rulesCommand(program: Command): void {
  const command = program.command("rules");
  command.description("show the rules as nft text and ip commands, or apply or remove them");
  command.addOption(
    new Option("--print", "show the rules; changes nothing").conflicts(["apply", "remove"]),
  );
  command.addOption(new Option("--apply", "apply the rules once").conflicts("remove"));
  command.addOption(new Option("--remove", "remove exactly the proxy's own rules"));
  command.addOption(
    new Option("--force", "remove them even while a proxy runs (which may restore them)"),
  );
  addJsonOption(command);
  addPolicyOptions(command);
  addInterceptionOptions(command);
  addPreexistingOption(command);
  addProbeOptions(command);
  addListenOptions(command);
  command.action((flags: RulesFlags) => {
    act(flags, command);
  });
}

function act(flags: RulesFlags, command: Command): void {
  if (flags.print !== true && flags.apply !== true && flags.remove !== true)
    throw new ProxyError("USAGE", "use --print, --apply or --remove");
  const source = policySourceOf(flags, command, process.env, false);
  const fixed = fixedOf(flags, process.env);
  const items = [
    ...(flags.print === true ? print(flags, source, fixed) : []),
    ...(flags.apply === true ? apply(flags, source, fixed) : []),
    ...(flags.remove === true ? removeOurs(flags, source, fixed) : []),
  ];
  if (flags.json === true) writeReport(command, true, items);
}

/** Without `--json`, prints text that a shell can run. */
function print(flags: RulesFlags, source: PolicySource, fixed: Fixed): readonly Item[] {
  const policy = loadPolicy(source);
  const plan = planOf(interceptionOf(policy, fixed));
  const { resolvers } = policy.outbound;
  const left =
    resolvers.length === 0
      ? null
      : `${resolversText(resolvers, source.resolvConf)} (--dns-tcp leave)`;
  if (flags.json !== true)
    process.stdout.write((left === null ? "" : `# ${left}.\n`) + planText(plan));
  return [
    ...(left === null ? [] : [info("name-servers", left)]),
    ...planItems(plan).map(({ id, text, fields }) => info(id, text, fields)),
  ];
}

/** The SPIFFE ID of a certificate does not affect what is intercepted. */
function apply(flags: RulesFlags, source: PolicySource, fixed: Fixed): readonly Item[] {
  const policy = judgedPolicy(source, null);
  const installed = install(interceptionOf(policy, fixed));
  const ends = { listening: listeningPorts(), ephemeral: ephemeralPorts() };
  const refused = refusedInCleartext(policy, fixed, ends);
  const mode = preexistingOf(flags, source.lockoutGuard !== null, "own");
  const items: Item[] = [{ id: "rules-applied", level: "good", message: "the rules are in place" }];
  reportPreexisting(leaveOrReset(installed, { mode, refused }), refused, (text) => {
    items.push({ id: "preexisting", level: "warning", message: text });
    if (flags.json !== true) process.stderr.write(`tls-tproxy: ${text}\n`);
  });
  return items;
}

function removeOurs(flags: RulesFlags, source: PolicySource, fixed: Fixed): readonly Item[] {
  if (flags.force !== true) assertNoProxy(fixed.tcpPort);
  remove(planOf(interceptionOf(source.base, fixed)));
  return [{ id: "rules-removed", level: "good", message: "none of the proxy's rules are left" }];
}

/** Throws START_FAILED if a proxy runs: data on diverted connections would continue in cleartext. */
function assertNoProxy(port: number): void {
  if (!isListening(port)) return;
  const text =
    `rules: a proxy serves them (something listens on 127.0.0.1:${port}). Without them its connections would go ` +
    "on in cleartext: end it first with SIGTERM, which resets them, or use --force.";
  throw new ProxyError("START_FAILED", text);
}
