/** Flags, their environment and their help; what they come to is a Config. */
import { Option, type Command } from "commander";

import {
  defaultLimits,
  defaultLogLines,
  defaultMark,
  defaultMeshRanges,
  type Config,
  type CredentialFiles,
  type Interception,
  type Limits,
  type Mark,
  type Verification,
} from "../config.ts";
import { ProxyError } from "../errors.ts";
import { describeLayouts, findCredentialFiles, workloadDirectory } from "../identity/discovery.ts";
import { isInitialNetworkNamespace } from "../intercept/host.ts";
import { parseSocketAddress, type SocketAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import * as values from "./values.ts";

/** What commander hands over for the interception, in commander's spelling. */
export type InterceptionFlags = {
  readonly tcpPort: number;
  readonly tlsPort: number;
  readonly statusAddress: SocketAddress;
  readonly mark: Mark;
  readonly meshCidr?: readonly Cidr[];
  readonly excludeCidr?: readonly Cidr[];
  readonly excludeOutboundPort?: readonly number[];
  readonly inboundPort?: readonly number[] | "none";
  readonly excludeInboundPort?: readonly number[];
  readonly excludeUid?: readonly number[];
  readonly onlyUid?: readonly number[];
  readonly host?: boolean;
};

export type CredentialFlags = {
  readonly cert?: string;
  readonly key?: string;
  readonly caCert?: string;
  readonly credentials?: string;
  readonly tlsMin: "1.2" | "1.3";
  readonly verify: "ip" | "spiffe";
  readonly trustDomain?: string;
};

export type RunFlags = InterceptionFlags & {
  readonly v: number;
  readonly logFormat: "text" | "json";
  readonly logLines: number;
  readonly removeRulesOnExit?: boolean;
  readonly confirm?: number;
} & CredentialFlags &
  LimitFlags;

/** Milliseconds and counts; null is "none". */
export type LimitFlags = {
  readonly connectTimeout: number;
  readonly handshakeTimeout: number;
  readonly linger: number;
  readonly idleTimeout: number | null;
  readonly tcpKeepalive: number | null;
  readonly tcpUserTimeout: number | null;
  readonly connections: number;
  readonly handshakes: number;
  readonly drain: number;
};

export function addCredentialOptions(command: Command): void {
  command.optionsGroup("Credentials (three PEM files, or a directory):");
  add(command, "--cert <file>", "certificate of this pod, followed by its chain", file);
  add(command, "--key <file>", "private key of the certificate", file);
  add(command, "--ca-cert <file>", "authorities that peers' certificates must lead to", file);
  add(command, "--credentials <directory>", "where a platform has put all three", {
    parse: values.file,
    shown: "GKE's, if it is there",
  });
  add(command, "--tls-min <version>", "lowest TLS version: 1.3, or 1.2 for old peers", {
    parse: values.tlsVersion,
    default: ["1.3", "1.3"],
  });
  add(command, "--verify <by>", "ip: a server's certificate names its address; or spiffe", {
    parse: values.verification,
    default: ["ip", "ip"],
  });
  add(command, "--trust-domain <name>", "whose SPIFFE IDs are peers, with --verify spiffe", {
    parse: values.trustDomain,
    shown: "our own",
  });
}

export function addInterceptionOptions(command: Command): void {
  command.optionsGroup("Interception (lists: repeat the option or separate by commas):");
  add(command, "--mesh-cidr <ranges>", "destinations reached by mutual TLS only", {
    parse: values.list(values.cidr),
    shown: "private ranges",
  });
  add(command, "--exclude-cidr <ranges>", "destinations left alone", {
    parse: values.list(values.cidr),
  });
  add(command, "--exclude-outbound-port <ports>", "destination ports left alone", {
    parse: values.list(values.port),
  });
  add(command, "--inbound-port <ports>", "ports that peers reach by mutual TLS only, or none", {
    parse: values.portsOrNone(),
    shown: "all",
  });
  add(command, "--exclude-inbound-port <ports>", "ports open in clear, as without the proxy", {
    parse: values.list(values.port),
  });
  add(command, "--exclude-uid <uids>", "users whose outbound connections are left alone", {
    parse: values.list(values.uid),
  });
  add(command, "--only-uid <uids>", "users whose outbound connections are diverted", {
    parse: values.list(values.uid),
    shown: "all",
  });
  add(command, "--host [boolean]", "take care of those who are logged in: see On a plain host", {
    parse: values.boolean,
    preset: "true",
    shown: "true in the machine's own network namespace",
  });
  add(command, "--mark <value/mask>", "bits of the fwmark that are ours", {
    parse: values.mark,
    default: [defaultMark, "0xa/0xf"],
  });
}

export function addListenOptions(command: Command): void {
  command.optionsGroup("Listening:");
  add(command, "--tcp-port <port>", "port to listen on TCP", {
    parse: values.port,
    default: [1, "1"],
  });
  add(command, "--tls-port <port>", "port to listen on TLS", {
    parse: values.port,
    default: [2, "2"],
  });
  add(command, "--status-address <address>", "where /healthz, /readyz, /metrics are served", {
    parse: values.statusAddress,
    default: [values.statusAddress(":15020"), ":15020"],
  });
}

export function addLimitOptions(command: Command): void {
  command.optionsGroup("Limits (durations like 500ms, 10s, 5m, 1h; none where it may be none):");
  const limits = defaultLimits;
  addDuration(command, "--connect-timeout", "for reaching a destination", limits.connectMsMax);
  addDuration(command, "--handshake-timeout", "for a TLS handshake", limits.handshakeMsMax);
  addDuration(command, "--linger", "for the last FIN once both sides ended", limits.lingerMsMax);
  addDuration(command, "--idle-timeout", "for carrying nothing, or none", limits.idleMsMax);
  addDuration(command, "--tcp-keepalive", "before a silent peer is probed", limits.keepAliveMsMax);
  addDuration(
    command,
    "--tcp-user-timeout",
    "for bytes nobody acknowledges",
    limits.userTimeoutMsMax,
  );
  add(command, "--connections <count>", "live connections; one more is reset", {
    parse: values.count,
    default: [limits.connectionsMax, String(limits.connectionsMax)],
  });
  add(command, "--handshakes <count>", "outbound TLS handshakes at once", {
    parse: values.count,
    default: [limits.handshakesMax, String(limits.handshakesMax)],
  });
  addDuration(command, "--drain", "for live connections after SIGTERM", limits.drainMsMax);
}

/** A default of null makes the option one that may be "none". */
function addDuration(command: Command, name: string, about: string, value: number | null): void {
  const optional = ["--idle-timeout", "--tcp-keepalive", "--tcp-user-timeout"].includes(name);
  add(command, `${name} <duration>`, about, {
    parse: optional ? values.durationOrNone : values.duration,
    default: [value, values.formatDuration(value)],
  });
}

export function addOtherOptions(command: Command): void {
  command.optionsGroup("Other:");
  add(command, "--remove-rules-on-exit [boolean]", "leave nothing behind; false is fail-closed", {
    parse: values.boolean,
    preset: "true",
    shown: "true on a host, false in a pod",
  });
  add(
    command,
    "--confirm <duration>",
    "take the rules away again unless tls-tproxy confirm is run",
    {
      parse: values.duration,
    },
  );
  add(command, "--log-format <form>", "text, or json with a field for everything", {
    parse: values.logFormat,
    default: ["text", "text"],
  });
  add(command, "--log-lines <count>", "a second, of a kind; more are left out and counted", {
    parse: values.count,
    default: [defaultLogLines, String(defaultLogLines)],
  });
  add(command, "-v, --v <level>", "number for the log level verbosity", {
    parse: values.verbosity,
    default: [0, "0"],
  });
}

/** Throws ProxyError (USAGE) for what one option alone cannot tell. */
export function configOf(flags: RunFlags, environment: Environment): Config {
  const credentials = credentialsOf(flags);
  assertCareful(flags);
  assertReachable(flags, environment);
  return {
    credentials,
    tlsVersionMin: flags.tlsMin,
    verification: verificationOf(flags),
    log: { verbosity: flags.v, format: flags.logFormat, linesMax: flags.logLines },
    statusAddress: flags.statusAddress,
    interception: interceptionOf(flags, environment),
    removeRulesOnExit: flags.removeRulesOnExit ?? isHost(flags),
    confirmMsMax: flags.confirm ?? null,
    limits: limitsOf(flags),
  };
}

/** Throws ProxyError (USAGE) for a trust domain that nobody would ask for. */
function verificationOf({ verify, trustDomain }: CredentialFlags): Verification {
  if (verify === "spiffe") return { kind: "spiffe", trustDomain: trustDomain ?? null };
  if (trustDomain === undefined) return { kind: "ip" };
  throw new ProxyError("USAGE", "--trust-domain goes with --verify spiffe");
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
    connectionsMax: flags.connections,
    handshakesMax: flags.handshakes,
    drainMsMax: flags.drain,
  };
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws ProxyError (USAGE) on a host without an explicit scope both ways: everybody would be locked out. */
export function assertCareful(flags: InterceptionFlags): void {
  if (!isHost(flags)) return;
  const outward = flags.meshCidr !== undefined || flags.onlyUid !== undefined;
  if (!outward || flags.inboundPort === undefined) throw new ProxyError("USAGE", hostRefusal);
}

/** Throws ProxyError (USAGE) where the way in that an operator stands on would be taken without a way back. */
function assertReachable(flags: RunFlags, environment: Environment): void {
  if (!isHost(flags) || flags.confirm !== undefined) return;
  if (flags.inboundPort === undefined || flags.inboundPort === "none") return;
  const session = Number(environment["SSH_CONNECTION"]?.split(" ")[3] ?? sshPort);
  const port = flags.inboundPort.find((one) => one === sshPort || one === session);
  if (port === undefined) return;
  const text =
    `--inbound-port ${port} would close ssh to everybody without a certificate of your authority. ` +
    "If you mean it, add --confirm 60s: the rules go again unless you say tls-tproxy confirm.";
  throw new ProxyError("USAGE", text);
}

function isHost({ host }: InterceptionFlags): boolean {
  return host ?? isInitialNetworkNamespace();
}

/** Throws ProxyError (USAGE) for ports that clash. */
export function interceptionOf(flags: InterceptionFlags, environment: Environment): Interception {
  assertDistinct(flags);
  return {
    meshRanges: flags.meshCidr ?? defaultMeshRanges,
    excludedRanges: flags.excludeCidr ?? [],
    excludedOutboundPorts: flags.excludeOutboundPort ?? [],
    inboundPorts: flags.inboundPort === "none" ? [] : (flags.inboundPort ?? "all"),
    excludedInboundPorts: flags.excludeInboundPort ?? [],
    excludedUids: flags.excludeUid ?? [],
    onlyUids: flags.onlyUid ?? "all",
    excludedDestinations: apiServerOf(environment),
    mark: flags.mark,
    tcpPort: flags.tcpPort,
    tlsPort: flags.tlsPort,
    statusPort: flags.statusAddress.port,
  };
}

function credentialsOf(flags: CredentialFlags): CredentialFiles {
  const files = credentialFilesOf(flags);
  if (files !== null) return files;
  const { cert, key, caCert } = flags;
  const missing = Object.entries({ "--cert": cert, "--key": key, "--ca-cert": caCert })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  throw new ProxyError("USAGE", `${missing.join(", ")} missing. ${credentialsHelp}`);
}

/** Three files by name, else those of a directory; null without any. Throws ProxyError (USAGE) for both or half. */
export function credentialFilesOf(flags: CredentialFlags): CredentialFiles | null {
  const { cert, key, caCert, credentials } = flags;
  if (cert !== undefined && key !== undefined && caCert !== undefined)
    return { certificate: cert, key, trustBundle: caCert };
  if (cert !== undefined || key !== undefined || caCert !== undefined) return null;
  if (credentials === undefined) return findCredentialFiles(workloadDirectory);
  const found = findCredentialFiles(credentials);
  if (found !== null) return found;
  const text = `--credentials ${credentials}: it holds none of ${describeLayouts()}`;
  throw new ProxyError("USAGE", text);
}

function assertDistinct(flags: InterceptionFlags): void {
  const ports = [flags.tcpPort, flags.tlsPort, flags.statusAddress.port];
  if (new Set(ports).size === ports.length) return;
  const text = "--tcp-port, --tls-port and the port of --status-address must differ";
  throw new ProxyError("USAGE", text);
}

/** Kubernetes puts the API server's address into every container: clients there bring TLS of their own. */
function apiServerOf(environment: Environment): readonly SocketAddress[] {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  if (host === undefined || port === undefined) return [];
  try {
    return [parseSocketAddress(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)];
  } catch (error) {
    if (error instanceof ProxyError) return [];
    throw error;
  }
}

type OptionForm = {
  readonly parse?: (text: string, before: unknown) => unknown;
  /** The value and how the help shows it. */
  readonly default?: readonly [value: unknown, shown: string];
  /** A default that is worked out later. */
  readonly shown?: string;
  readonly preset?: string;
};

/** What the help says of an option: the environment is told once for all, below. */
export function describeOption(option: Option): string {
  const shown = option.defaultValueDescription;
  return shown === undefined ? option.description : `${option.description} (default: ${shown})`;
}

export function add(command: Command, flags: string, about: string, form: OptionForm = {}): void {
  const shown = form.shown === undefined ? about : `${about} (default: ${form.shown})`;
  const option = new Option(flags, shown);
  option.env(`TPROXY_${option.name().toUpperCase().replaceAll("-", "_")}`);
  if (form.parse !== undefined) option.argParser(form.parse);
  if (form.default !== undefined) option.default(...form.default);
  if (form.preset !== undefined) option.preset(form.preset);
  command.addOption(option);
}

const file: OptionForm = { parse: values.file };

const credentialsHelp =
  "The proxy has no certificate of its own: give it the PEM files that your authority issues " +
  "(SPIFFE, cert-manager, openssl), or try `tls-tproxy demo` first, which makes throw-away ones.";

const hostRefusal =
  "this is the host's own network namespace: capturing all private ranges and every inbound port would " +
  "lock everybody out of it. Say what to intercept: --mesh-cidr (or --only-uid) and --inbound-port (or none).";

const sshPort = 22;
