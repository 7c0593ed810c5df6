/** `tls-tproxy policy`: checks a policy file, and prints the effective policy. */
import { Option, type Command } from "commander";

import { ProxyError } from "../runtime/errors.ts";
import { loadPolicy, readPolicyFile } from "../policy/policy-file.ts";
import { parsePolicy, type PolicyDocument } from "../policy/document.ts";
import { assertConsistent } from "../policy/consistency.ts";
import { effectivePolicy } from "../policy/effective.ts";
import { policyItems, type PolicyItem } from "../policy/items.ts";
import { info, type Item } from "../tools/report.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { printPolicy } from "../policy/print.ts";
import { policySourceOf } from "./configuration.ts";
import type { InterceptionFlags } from "./flags.ts";
import { addInterceptionOptions, addListenOptions, addPolicyOptions } from "./options.ts";
import { file } from "./values.ts";
import { escapeText } from "../runtime/log/escape.ts";

type Flags = InterceptionFlags & JsonFlag & { readonly check?: string; readonly print?: boolean };

export function policyCommand(program: Command): void {
  const command = program.command("policy");
  command.description(
    "check a policy file, or show the policy in force and where each rule was written",
  );
  command.addOption(
    new Option("--check <file>", "name every mistake in a file (- is stdin); changes nothing")
      .argParser(file)
      .conflicts("print"),
  );
  command.addOption(
    new Option("--print", "show the policy that results from these options and the file"),
  );
  addJsonOption(command);
  addPolicyOptions(command);
  addInterceptionOptions(command);
  addListenOptions(command);
  command.action((flags: Flags) => {
    act(flags, command);
  });
}

/** Throws USAGE, POLICY_INVALID. */
function act(flags: Flags, command: Command): void {
  if (flags.check !== undefined) {
    const name = flags.check === "-" ? "standard input" : flags.check;
    const document = parsePolicy(readPolicyFile(flags.check), name);
    const { base } = policySourceOf(flags, command, process.env, false);
    assertConsistent(effectivePolicy(base, document));
    const text = `${name}: good (${summary(document)})`;
    if (flags.json === true)
      writeReport(command, true, [{ id: "policy-valid", level: "good", message: text }]);
    else process.stdout.write(`${escapeText(text)}\n`);
  } else if (flags.print === true) {
    const source = policySourceOf(flags, command, process.env, false);
    const policy = loadPolicy(source);
    if (flags.json === true) writeReport(command, true, policyItems(policy).map(itemOf));
    else process.stdout.write(printPolicy(policy));
  } else throw new ProxyError("USAGE", "use --check FILE or --print");
}

function itemOf({ id, field, value, origin }: PolicyItem): Item {
  return info(id, `${field}: ${JSON.stringify(value)} (${origin})`, { field, value, origin });
}

function summary({ fields: { inbound, outbound } }: PolicyDocument): string {
  const ports = Object.keys(inbound?.ports ?? {}).length;
  const ranges = outbound?.expect?.length ?? 0;
  const mode = inbound?.mode ?? "as the options say";
  return `inbound ${mode}; ports with rules of their own: ${ports}; ranges with expected servers: ${ranges}`;
}
