/** Each option has its field in the types of the flags, and each field its option; those with a default always exist. */
import { expect, test } from "bun:test";
import { Command } from "commander";

import type {
  CredentialFlags,
  InterceptionFlags,
  LimitFlags,
  PolicyFlags,
  PreexistingFlags,
  PrivilegeFlags,
  ProbeFlags,
  RunFlags,
} from "../../../src/cli/flags.ts";
import * as options from "../../../src/cli/options.ts";
import { addProbeOptions } from "../../../src/cli/probes.ts";
import { makeProgram } from "../../../src/cli/program.ts";

/** Whether a field always has a value. The type of a record refuses a field too many, too few, or of the other kind. */
type Shape<Flags> = {
  readonly [Name in keyof Flags]-?: undefined extends Flags[Name] ? "optional" : "always";
};

const credentials: Shape<CredentialFlags> = {
  cert: "optional",
  key: "optional",
  caCert: "optional",
  credentials: "optional",
  tlsMin: "always",
};
const policy: Shape<PolicyFlags> = {
  policy: "optional",
  verify: "optional",
  trustDomain: "optional",
  preserveSource: "optional",
};
const probes: Shape<ProbeFlags> = {
  probe: "optional",
  probeSource: "optional",
  probeMode: "always",
};
const preexisting: Shape<PreexistingFlags> = { preexisting: "optional" };
const privileges: Shape<PrivilegeFlags> = { privileges: "optional", rules: "always" };
const listening: Shape<
  Pick<InterceptionFlags, "tcpPort" | "tlsPort" | "inspectPort" | "statusAddress">
> = {
  tcpPort: "always",
  tlsPort: "always",
  inspectPort: "always",
  statusAddress: "always",
};
const interception: Shape<Omit<InterceptionFlags, keyof PolicyFlags | keyof typeof listening>> = {
  mark: "always",
  meshCidr: "optional",
  excludeCidr: "optional",
  dnsTcp: "optional",
  apiServer: "optional",
  outboundPort: "optional",
  excludeOutboundPort: "optional",
  inboundPort: "optional",
  excludeInboundPort: "optional",
  excludeUid: "optional",
  onlyUid: "optional",
  excludeGid: "optional",
  onlyGid: "optional",
  forwarded: "always",
  host: "optional",
  wirePorts: "optional",
};
const limits: Shape<LimitFlags> = {
  connectTimeout: "always",
  handshakeTimeout: "always",
  linger: "always",
  idleTimeout: "always",
  tcpKeepalive: "always",
  tcpUserTimeout: "always",
  connectionMaxAge: "always",
  firstBytesTimeout: "always",
  connections: "always",
  handshakes: "always",
  memory: "optional",
  drain: "always",
};
const others: Shape<
  Omit<
    RunFlags,
    | keyof CredentialFlags
    | keyof InterceptionFlags
    | keyof LimitFlags
    | keyof PreexistingFlags
    | keyof PrivilegeFlags
    | keyof ProbeFlags
  >
> = {
  v: "always",
  logFormat: "always",
  logLines: "always",
  metricsNames: "always",
  removeRulesOnExit: "optional",
  confirm: "optional",
};

function shapeOf(command: Command): Readonly<Record<string, string>> {
  return Object.fromEntries(
    command.options.map((option) => [
      option.attributeName(),
      option.defaultValue === undefined ? "optional" : "always",
    ]),
  );
}

test.each([
  ["CredentialFlags", options.addCredentialOptions, credentials],
  ["PolicyFlags", options.addPolicyOptions, policy],
  ["ProbeFlags", addProbeOptions, probes],
  ["PreexistingFlags", options.addPreexistingOption, preexisting],
  ["PrivilegeFlags", options.addPrivilegeOptions, privileges],
  ["the rest of InterceptionFlags", options.addInterceptionOptions, interception],
  ["the listening ones of InterceptionFlags", options.addListenOptions, listening],
  ["LimitFlags", options.addLimitOptions, limits],
  ["the rest of RunFlags", options.addOtherOptions, others],
] as const)("%s has the fields that its options set", (_, add, shape) => {
  const command = new Command();
  add(command);
  expect(shapeOf(command)).toEqual(shape);
});

const ofRules = { ...policy, ...interception, ...listening };

test("every command has the options that its flags promise", () => {
  const program = makeProgram();
  const named = (name: string): Command =>
    program.commands.find((command) => command.name() === name) ?? new Command();
  const all = {
    ...credentials,
    ...ofRules,
    ...preexisting,
    ...privileges,
    ...probes,
    ...limits,
  };
  expect(shapeOf(program)).toMatchObject({ ...all, ...others });
  expect(shapeOf(named("check"))).toMatchObject(all);
  expect(shapeOf(named("rules"))).toMatchObject({ ...ofRules, ...probes, ...preexisting });
  expect(shapeOf(named("why"))).toMatchObject({ ...credentials, ...ofRules, ...probes });
  expect(shapeOf(named("policy"))).toMatchObject(ofRules);
});
