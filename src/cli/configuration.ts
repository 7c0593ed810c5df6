/** Turns options into the proxy's configuration, with all checks that concern more than one option. */
import type { Command } from "commander";

import { defaultLimits, defaultPolicy, type Config, type Limits } from "../config.ts";
import {
  type CredentialFiles,
  describeMissing,
  findCredentialFiles,
  workloadDirectory,
} from "../identity/discovery.ts";
import type { PolicySource } from "../policy/policy-file.ts";
import type { Fixed } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { readRegularFile } from "../runtime/files.ts";
import { isInitialNetworkNamespace } from "./initial-namespace.ts";
import { distinctSockets, type SocketAddress } from "../net/address.ts";
import { ownAddresses } from "../net/own-addresses.ts";
import { commonPorts, formatPorts, type Ports } from "../net/ports.ts";
import type { LockoutGuard } from "../policy/lockout-guard.ts";
import type { DnsTcp, Policy, PortRule, SourceMode, Sourced } from "../policy/policy.ts";
import { layered } from "../policy/port-rules.ts";
import { apiServersOf } from "./api-server.ts";
import { probesFromFlags } from "./probes.ts";
import { selfCommand } from "./self.ts";
import type {
  CredentialFlags,
  InterceptionFlags,
  LimitFlags,
  PreexistingFlags,
  ProbeFlags,
  PrivilegeFlags,
  RunFlags,
} from "./flags.ts";
import type { Environment } from "./environment.ts";

/** Throws ProxyError (USAGE). `command` knows the origin of each option. */
export function configOf(flags: RunFlags, command: Command, environment: Environment): Config {
  const found = credentialsOf(flags);
  const policy = policySourceOf(flags, command, environment, flags.confirm !== undefined);
  const removeRulesOnExit =
    flags.removeRulesOnExit ?? (policy.lockoutGuard !== null && flags.rules === "own");
  return {
    credentials: found.files,
    credentialsSource: found.source,
    tlsVersionMin: flags.tlsMin,
    policy,
    log: { verbosity: flags.v, format: flags.logFormat, linesMax: flags.logLines },
    statusAddress: flags.statusAddress,
    metricsNames: flags.metricsNames,
    fixed: fixedOf(flags, environment),
    removeRulesOnExit,
    privileges: privilegesOf(flags, removeRulesOnExit, policy.lockoutGuard !== null),
    rules: flags.rules,
    preexisting: preexistingOf(flags, policy.lockoutGuard !== null, flags.rules),
    command: [...selfCommand(), ...process.argv.slice(2)],
    confirmMsMax: flags.confirm ?? null,
    limits: limitsOf(flags),
    wirePorts: flags.wirePorts ?? null,
  };
}

/** Throws ProxyError (USAGE) for options that need privileges which the proxy will not have. */
export function privilegesOf(
  flags: PrivilegeFlags & Pick<RunFlags, "confirm">,
  removeRulesOnExit: boolean,
  isHost: boolean,
): Config["privileges"] {
  const needs = [
    ...(removeRulesOnExit ? ["--remove-rules-on-exit"] : []),
    ...(flags.confirm === undefined ? [] : ["--confirm"]),
  ];
  const [need] = needs;
  if (flags.rules === "external") {
    if (need !== undefined)
      throw new ProxyError("USAGE", `${need} cannot be combined with --rules external`);
    if (flags.privileges === "dropped") throw new ProxyError("USAGE", droppedExternal);
    return "kept";
  }
  const byDefault = need === undefined && !isHost ? "dropped" : "kept";
  const privileges = flags.privileges ?? byDefault;
  if (privileges === "dropped" && need !== undefined)
    throw new ProxyError("USAGE", `${need} requires --privileges kept`);
  return privileges;
}

/** Throws ProxyError (USAGE) if others apply the rules, and therefore make this choice. */
export function preexistingOf(
  { preexisting }: PreexistingFlags,
  isHost: boolean,
  rules: RunFlags["rules"],
): "leave" | "reset" {
  if (rules === "external" && preexisting !== undefined)
    throw new ProxyError("USAGE", preexistingExternal);
  return preexisting ?? (isHost || rules === "external" ? "leave" : "reset");
}

/** `confirmed`: there is a way back if the operator's own login port is captured. */
export function policySourceOf(
  flags: InterceptionFlags,
  command: Command,
  environment: Environment,
  confirmed: boolean,
): PolicySource {
  assertApart(flags);
  const host = flags.host ?? isInitialNetworkNamespace();
  return {
    file: flags.policy ?? null,
    base: basePolicyOf(flags, command),
    lockoutGuard: host ? lockoutGuardOf(flags, environment, confirmed) : null,
    ownAddresses,
    resolvConf: "/etc/resolv.conf",
  };
}

/** Throws USAGE for a value that one option names and another excludes. */
function assertApart(flags: InterceptionFlags): void {
  const { inboundPort = [], excludeInboundPort = [] } = flags;
  const port = inboundPort === "none" ? null : commonPorts(inboundPort, excludeInboundPort);
  const faults = [
    [port === null ? null : formatPorts(port), "port", "inbound-port"],
    [commonOf(flags.onlyUid, flags.excludeUid), "user", "uid"],
    [commonOf(flags.onlyGid, flags.excludeGid), "group", "gid"],
  ] as const;
  const fault = faults.find(([common]) => common !== null);
  if (fault === undefined) return;
  const [common, what, name] = fault;
  const only = name === "inbound-port" ? "--inbound-port" : `--only-${name}`;
  const text = `${only} and --exclude-${name} both name ${what} ${common}: leave it out of one of the two`;
  throw new ProxyError("USAGE", text);
}

function commonOf(a: readonly number[] = [], b: readonly number[] = []): string | null {
  const common = a.find((one) => b.includes(one));
  return common === undefined ? null : String(common);
}

function lockoutGuardOf(
  flags: InterceptionFlags,
  environment: Environment,
  confirmed: boolean,
): LockoutGuard {
  const session = Number(environment["SSH_CONNECTION"]?.split(" ")[3] ?? sshPort);
  return {
    scopedByUser: flags.onlyUid !== undefined || flags.onlyGid !== undefined,
    keepOpen: [sshPort, session],
    awaitsConfirmation: confirmed,
  };
}

/** The values of options, environment and defaults, each with its origin. */
function basePolicyOf(flags: InterceptionFlags, command: Command): Policy {
  const { inbound, outbound, ...top } = defaultPolicy;
  const over = <T>(name: string, value: T | undefined, before: Sourced<T>): Sourced<T> =>
    value === undefined ? before : { value, origin: originOf(command, name) };
  const closed = flags.excludeInboundPort ?? [];
  const scope = flags.inboundPort;
  const open = scope === "none" ? [] : (scope ?? []);
  return {
    trustDomain: over<string | null>("trustDomain", flags.trustDomain, top.trustDomain),
    verify: over<typeof top.verify.value>("verify", flags.verify, top.verify),
    inbound: {
      mode: over("inboundPort", scope === undefined ? undefined : "passthrough", inbound.mode),
      allow: inbound.allow,
      preserveSource: over<SourceMode>(
        "preserveSource",
        flags.preserveSource,
        inbound.preserveSource,
      ),
      ports: layered([
        ...portRules(open, "strict", originOf(command, "inboundPort")),
        ...portRules(closed, "passthrough", originOf(command, "excludeInboundPort")),
      ]),
    },
    outbound: {
      mesh: over("meshCidr", flags.meshCidr, outbound.mesh),
      exclude: over("excludeCidr", flags.excludeCidr, outbound.exclude),
      ports: over<Policy["outbound"]["ports"]["value"]>(
        "outboundPort",
        flags.outboundPort,
        outbound.ports,
      ),
      excludePorts: over("excludeOutboundPort", flags.excludeOutboundPort, outbound.excludePorts),
      expect: outbound.expect,
      dnsTcp: over<DnsTcp>("dnsTcp", flags.dnsTcp, outbound.dnsTcp),
      resolvers: outbound.resolvers,
    },
  };
}

function portRules(
  ranges: readonly Ports[],
  mode: "strict" | "passthrough",
  origin: string,
): readonly PortRule[] {
  return ranges.map((ports) => ({
    ports,
    mode: { value: mode, origin },
    allow: null,
    preserveSource: null,
    alpn: null,
  }));
}

/** "--mesh-cidr", or "TPROXY_MESH_CIDR" if it comes from the environment. */
function originOf(command: Command, name: string): string {
  const option = command.options.find((one) => one.attributeName() === name);
  const flag = option?.long ?? name;
  return command.getOptionValueSource(name) === "env" ? (option?.envVar ?? flag) : flag;
}

/** Throws ProxyError (USAGE) for ports that clash, and for probes without a source. */
export function fixedOf(flags: InterceptionFlags & ProbeFlags, environment: Environment): Fixed {
  assertDistinct(flags);
  return {
    excludedUids: flags.excludeUid ?? [],
    onlyUids: flags.onlyUid ?? "all",
    excludedGids: flags.excludeGid ?? [],
    onlyGids: flags.onlyGid ?? "all",
    forwarded: flags.forwarded,
    excludedDestinations: apiServers(flags, environment),
    mark: flags.mark,
    tcpPort: flags.tcpPort,
    tlsPort: flags.tlsPort,
    inspectPort: flags.inspectPort,
    statusPort: flags.statusAddress.port,
    probes: probesFromFlags(flags, environment["TPROXY_HOST_IPS"]),
  };
}

function limitsOf(flags: LimitFlags): Limits {
  return {
    ...defaultLimits,
    connectMsMax: flags.connectTimeout,
    handshakeMsMax: flags.handshakeTimeout,
    lingerMsMax: flags.linger,
    idleMsMax: flags.idleTimeout,
    keepAliveMsMax: flags.tcpKeepalive,
    userTimeoutMsMax: flags.tcpUserTimeout,
    ageMsMax: flags.connectionMaxAge,
    firstBytesMsMax: flags.firstBytesTimeout,
    connectionsMax: flags.connections,
    handshakesMax: flags.handshakes,
    memoryBytesMax: flags.memory ?? null,
    drainMsMax: flags.drain,
  };
}

export type FoundCredentials = { readonly files: CredentialFiles; readonly source: string };

function credentialsOf(flags: CredentialFlags): FoundCredentials {
  const found = locateCredentials(flags);
  if (found !== null) return found;
  const { cert, key, caCert } = flags;
  const missing = Object.entries({ "--cert": cert, "--key": key, "--ca-cert": caCert })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  throw new ProxyError("USAGE", `${missing.join(", ")} missing. ${credentialsHelp}`);
}

/**
 * Three files by name, else those of a directory; null without any. Throws ProxyError (USAGE) if only some are given.
 */
export function locateCredentials(flags: CredentialFlags): FoundCredentials | null {
  const { cert, key, caCert, credentials } = flags;
  if (credentials !== undefined && (cert ?? key ?? caCert) !== undefined) {
    const text =
      "--credentials cannot be combined with --cert, --key and --ca-cert: give the directory or the files";
    throw new ProxyError("USAGE", text);
  }
  if (cert !== undefined && key !== undefined && caCert !== undefined) {
    const files = { certificate: cert, key, trustBundle: caCert };
    return { files, source: "--cert, --key, --ca-cert" };
  }
  if (cert !== undefined || key !== undefined || caCert !== undefined) return null;
  const files = findCredentialFiles(credentials ?? workloadDirectory);
  if (files !== null)
    return { files, source: credentials === undefined ? "GKE workload identity" : "--credentials" };
  if (credentials === undefined) return null;
  const text = `--credentials ${credentials}: ${describeMissing(credentials)}`;
  throw new ProxyError("USAGE", text);
}

function assertDistinct(flags: InterceptionFlags): void {
  const ports = [flags.tcpPort, flags.tlsPort, flags.inspectPort, flags.statusAddress.port];
  if (new Set(ports).size === ports.length) return;
  const text =
    "--tcp-port, --tls-port, --inspect-port and the port of --status-address must differ";
  throw new ProxyError("USAGE", text);
}

/** Clients of the API server use TLS of their own. */
function apiServers(
  { apiServer = [] }: InterceptionFlags,
  environment: Environment,
): readonly SocketAddress[] {
  return distinctSockets([...apiServer, ...apiServersOf(environment, serviceAccountToken())]);
}

/** "" if there is none, or it may not be read. */
function serviceAccountToken(): string {
  const path = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  try {
    return readRegularFile(path, tokenBytesMax).toString("utf8");
  } catch {
    return "";
  }
}

const tokenBytesMax = 65_536;
const credentialsHelp =
  "The proxy has no certificate: give it the PEM files that your CA issues " +
  "(SPIFFE, cert-manager, openssl), or try `tls-tproxy demo` first, which makes temporary ones.";
const droppedExternal =
  "--privileges dropped cannot be combined with --rules external: give the container NET_RAW alone";
const preexistingExternal =
  "--preexisting cannot be combined with --rules external: give it to tls-tproxy rules --apply";
const sshPort = 22;
