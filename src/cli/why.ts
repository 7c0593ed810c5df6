/** `tls-tproxy why`: the rule that decides on a connection, and its effect. */
import { Argument, Option, type Command } from "commander";

import { loadPolicy } from "../policy/policy-file.ts";
import { loadCredentials } from "../identity/source.ts";
import type { SpiffeId } from "../identity/spiffe-id.ts";
import { keepMemoryPrivate } from "../native/secrecy.ts";
import type { SocketAddress } from "../net/address.ts";
import type { Item } from "../tools/report.ts";
import { explainInbound, explainOutbound, type Explanation } from "../tools/explain.ts";
import { AppliedPolicy } from "../policy/applied-policy.ts";
import { locateCredentials, fixedOf, policySourceOf } from "./configuration.ts";
import type { CredentialFlags, InterceptionFlags, ProbeFlags } from "./flags.ts";
import {
  addCredentialOptions,
  addInterceptionOptions,
  addListenOptions,
  addPolicyOptions,
} from "./options.ts";
import { addProbeOptions } from "./probes.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { socketAddress, spiffeId } from "./values.ts";
import { escapeText } from "../runtime/log/escape.ts";

type Flags = CredentialFlags &
  InterceptionFlags &
  ProbeFlags &
  JsonFlag & { readonly inbound?: boolean; readonly peer?: SpiffeId };

export function whyCommand(program: Command): void {
  const command = program.command("why");
  command.description("show which rule applies to a connection, and what would happen to it");
  command.addArgument(
    new Argument("<address:port>", "where the connection goes").argParser(socketAddress),
  );
  command.addOption(new Option("--inbound", "the connection is inbound, not outbound"));
  command.addOption(
    new Option(
      "--peer <spiffe id>",
      "SPIFFE ID of the peer; exit code 1 if the peer would be refused",
    ).argParser(spiffeId),
  );
  addJsonOption(command);
  addCredentialOptions(command);
  addPolicyOptions(command);
  addInterceptionOptions(command);
  addProbeOptions(command);
  addListenOptions(command);
  command.action((address: SocketAddress, flags: Flags) => {
    keepMemoryPrivate();
    why(address, flags, command);
  });
}

/** Throws USAGE, POLICY_INVALID, CREDENTIALS_INVALID. */
function why(address: SocketAddress, flags: Flags, command: Command): void {
  const policy = loadPolicy(policySourceOf(flags, command, process.env, false));
  const applied = new AppliedPolicy(policy, ownId(flags));
  const explain = flags.inbound === true ? explainInbound : explainOutbound;
  const fixed = fixedOf(flags, process.env);
  const explanation = explain({ address, peer: flags.peer ?? null }, applied, fixed);
  const unknown = locateCredentials(flags) === null && policy.verify.value === null;
  if (flags.json === true) {
    writeReport(command, !explanation.refused, itemsOf(explanation, unknown));
    return;
  }
  const { title, lines, refused } = explanation;
  const texts = [
    title,
    ...lines.map(({ text }) => `  ${text}`),
    ...(unknown ? [`  (${noCertificate} ${noCertificateRemedy})`] : []),
  ];
  process.stdout.write(`${texts.map(escapeText).join("\n")}\n`);
  process.exitCode = refused ? 1 : 0;
}

/** Without credentials the answer is for a certificate without a SPIFFE ID. */
function ownId(flags: Flags): SpiffeId | null {
  const found = locateCredentials(flags);
  return found === null ? null : loadCredentials(found.files, Date.now()).identity.spiffeId;
}

function itemsOf({ lines }: Explanation, unknown: boolean): readonly Item[] {
  const items = lines.map(({ id, text }): Item => ({
    id,
    level: id === "peer-refused" ? "bad" : id === "peer-accepted" ? "good" : "info",
    message: text,
  }));
  const note: Item = {
    id: "no-certificate",
    level: "warning",
    message: noCertificate,
    remedy: noCertificateRemedy,
  };
  return unknown ? [...items, note] : items;
}

const noCertificate = "This is the answer for a certificate without a SPIFFE ID.";
const noCertificateRemedy = "Give yours with --cert, --key and --ca-cert, or with --credentials.";
