/** `tproxy rules`: the rules without the proxy, to look at, to put in place, to take away. */
import { Option, type Command } from "commander";

import { type PolicySource, judgedPolicy, loadPolicy } from "../policy/policy-file.ts";
import { type Fixed, interceptionOf } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { refusedInCleartext } from "../intercept/cleartext/refused.ts";
import { install, remove } from "../intercept/kernel/install.ts";
import { listeningPorts } from "../intercept/kernel/open-before.ts";
import { settlePreexisting } from "../intercept/cleartext/preexisting.ts";
import { isListening } from "../intercept/kernel/running.ts";
import { planText } from "../intercept/rules/text.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { reportPreexisting } from "../intercept/cleartext/report.ts";
import { ephemeralPorts } from "../net/ports.ts";
import { fixedOf, policySourceOf, preexistingOf } from "./configuration.ts";
import { resolversText } from "../policy/resolvers.ts";
import {
  addInterceptionOptions,
  addListenOptions,
  addPolicyOptions,
  addPreexistingOption,
  type InterceptionFlags,
  type PreexistingFlags,
} from "./options.ts";
import { addProbeOptions } from "./probes.ts";

type RulesFlags = InterceptionFlags &
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
    throw new ProxyError("USAGE", "say what to do: --print, --apply or --remove");
  const source = policySourceOf(flags, command, process.env, false);
  const fixed = fixedOf(flags, process.env);
  if (flags.print === true) {
    const policy = loadPolicy(source);
    const { resolvers } = policy.outbound;
    if (resolvers.length > 0)
      process.stdout.write(`# ${resolversText(resolvers, source.resolvConf)} (--dns-tcp leave).\n`);
    process.stdout.write(planText(planOf(interceptionOf(policy, fixed))));
  }
  if (flags.apply === true) apply(flags, source, fixed);
  if (flags.remove === true) {
    if (flags.force !== true) assertNoProxy(fixed.tcpPort);
    remove(planOf(interceptionOf(source.base, fixed)));
  }
}

/** The SPIFFE ID of a certificate has no part in what is intercepted. */
function apply(flags: RulesFlags, source: PolicySource, fixed: Fixed): void {
  const policy = judgedPolicy(source, null);
  const installed = install(interceptionOf(policy, fixed));
  const ends = { listening: listeningPorts(), ephemeral: ephemeralPorts() };
  const refused = refusedInCleartext(policy, fixed, ends);
  const mode = preexistingOf(flags, source.lockoutGuard !== null, "own");
  reportPreexisting(settlePreexisting(installed, { mode, refused }), refused, (text) => {
    process.stderr.write(`tls-tproxy: ${text}\n`);
  });
}

/** Throws START_FAILED: what applications have to say on connections that are diverted would go on in clear. */
function assertNoProxy(port: number): void {
  if (!isListening(port)) return;
  const text =
    `rules: a proxy serves them (something listens on 127.0.0.1:${port}). Without them its connections would go ` +
    "on in cleartext: end it first with SIGTERM, which resets them, or say --force.";
  throw new ProxyError("START_FAILED", text);
}
