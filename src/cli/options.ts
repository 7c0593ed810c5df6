/** Flags, their environment and their help; what they come to: configuration.ts. */
import { Option, type Command } from "commander";

import { defaultLimits, defaultLogLines, defaultMark, type Mark } from "../config.ts";
import type { SocketAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Ports } from "../net/ports.ts";
import { dnsTcpWords, sourceModes, type DnsTcp, type SourceMode } from "../policy/policy.ts";
import type { ProbeFlags } from "./probes.ts";
import * as values from "./values.ts";

/** What commander hands over for the interception, in commander's spelling. */
export type InterceptionFlags = {
  readonly tcpPort: number;
  readonly tlsPort: number;
  readonly inspectPort: number;
  readonly statusAddress: SocketAddress;
  readonly mark: Mark;
  readonly meshCidr?: readonly Cidr[];
  readonly excludeCidr?: readonly Cidr[];
  readonly dnsTcp?: DnsTcp;
  readonly apiServer?: readonly SocketAddress[];
  readonly outboundPort?: readonly Ports[];
  readonly excludeOutboundPort?: readonly Ports[];
  readonly inboundPort?: readonly Ports[] | "none";
  readonly excludeInboundPort?: readonly Ports[];
  readonly excludeUid?: readonly number[];
  readonly onlyUid?: readonly number[];
  readonly excludeGid?: readonly number[];
  readonly onlyGid?: readonly number[];
  readonly forwarded: "drop" | "leave";
  readonly host?: boolean;
  readonly wirePorts?: Ports;
} & PolicyFlags &
  ProbeFlags;

export type PolicyFlags = {
  readonly policy?: string;
  readonly verify?: "ip" | "spiffe";
  readonly trustDomain?: string;
  readonly preserveSource?: SourceMode;
};

export type CredentialFlags = {
  readonly cert?: string;
  readonly key?: string;
  readonly caCert?: string;
  readonly credentials?: string;
  readonly tlsMin: "1.2" | "1.3";
};

export type PreexistingFlags = { readonly preexisting?: "leave" | "reset" };

export type RunFlags = InterceptionFlags & {
  readonly v: number;
  readonly logFormat: "text" | "json";
  readonly logLines: number;
  readonly removeRulesOnExit?: boolean;
  readonly confirm?: number;
  readonly privileges?: "kept" | "dropped";
  readonly rules: "own" | "external";
} & CredentialFlags &
  LimitFlags &
  PreexistingFlags;

/** Milliseconds and counts; null is "none". */
export type LimitFlags = {
  readonly connectTimeout: number;
  readonly handshakeTimeout: number;
  readonly linger: number;
  readonly idleTimeout: number | null;
  readonly tcpKeepalive: number | null;
  readonly tcpUserTimeout: number | null;
  readonly connectionMaxAge: number | null;
  readonly firstBytesTimeout: number;
  readonly connections: number;
  readonly handshakes: number;
  readonly memory?: number;
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
}

/** What a policy file says as well, and the file. */
export function addPolicyOptions(command: Command): void {
  command.optionsGroup("Policy (what the file says goes over the options, field by field):");
  add(command, "--policy <file>", "YAML: what is intercepted, in which mode, who is allowed", {
    parse: values.file,
  });
  add(command, "--verify <by>", "how servers are known: spiffe, or ip (their address)", {
    parse: values.verification,
    shown: "spiffe if our certificate has such an ID",
  });
  add(command, "--trust-domain <name>", "whose SPIFFE IDs are peers", {
    parse: values.trustDomain,
    shown: "our own",
  });
  add(command, "--preserve-source <what>", "what applications see: client's ip-port, ip, or off", {
    parse: values.oneOf(...sourceModes),
    shown: "ip-port",
  });
}

export function addInterceptionOptions(command: Command): void {
  command.optionsGroup(
    "Interception (lists: repeat the option or separate by commas; ports: 8080 or 8000-8100):",
  );
  add(command, "--mesh-cidr <ranges>", "destinations reached by mutual TLS only, or none", {
    parse: values.meshRanges(),
    shown: "default, the private ranges",
  });
  add(command, "--exclude-cidr <ranges>", "destinations left alone", {
    parse: values.list(values.cidr),
  });
  add(
    command,
    "--dns-tcp <how>",
    "TCP to our own name servers' port 53: leave alone, or intercept",
    {
      parse: values.oneOf(...dnsTcpWords),
      shown: "leave",
    },
  );
  add(command, "--api-server <addresses>", "the cluster's, left alone: 10.0.0.9:6443", {
    parse: values.list(values.socketAddress),
    shown: "as the environment says",
  });
  add(command, "--outbound-port <ports>", "the only destination ports that are diverted", {
    parse: values.list(values.portRange),
    shown: "all",
  });
  add(command, "--exclude-outbound-port <ports>", "destination ports left alone", {
    parse: values.list(values.portRange),
  });
  add(command, "--inbound-port <ports>", "ports that peers reach by mutual TLS only, or none", {
    parse: values.portsOrNone(),
    shown: "all",
  });
  add(command, "--exclude-inbound-port <ports>", "ports open in cleartext, as without the proxy", {
    parse: values.list(values.portRange),
  });
  addOwnerOptions(command);
  add(command, "--host [boolean]", "guard against a lockout: tls-tproxy help host", {
    parse: values.boolean,
    preset: "true",
    shown: "true in the machine's own network namespace",
  });
  add(command, "--wire-ports <range>", "source ports toward peers, like 20000-23999", {
    parse: values.wirePorts,
    shown: "ports that applications are not given",
  });
  add(command, "--mark <value/mask>", "bits of the fwmark that are ours", {
    parse: values.mark,
    default: [defaultMark, "0xa/0xf"],
  });
}

/** By whose process: numbers, or names. */
function addOwnerOptions(command: Command): void {
  add(command, "--exclude-uid <users>", "users whose outbound connections are left alone", {
    parse: values.list(values.uid),
  });
  add(command, "--exclude-gid <groups>", "the same by the group of the process", {
    parse: values.list(values.gid),
  });
  add(command, "--only-uid <users>", "users whose outbound connections are diverted", {
    parse: values.list(values.uid),
    shown: "all",
  });
  add(command, "--only-gid <groups>", "groups besides them, or alone", {
    parse: values.list(values.gid),
    shown: "all",
  });
  add(command, "--forwarded <how>", "connections of containers here to the mesh: drop, or leave", {
    parse: values.oneOf("drop", "leave"),
    default: ["drop", "drop"],
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
  add(command, "--inspect-port <port>", "port to listen on where the first bytes tell", {
    parse: values.port,
    default: [3, "3"],
  });
  add(command, "--status-address <address>", "where /healthz, /readyz, /metrics are served", {
    parse: values.statusAddress,
    default: [values.statusAddress(":15020"), ":15020"],
  });
}

/** Right after `addInterceptionOptions`: it stands in the same group of the help. */
export function addPreexistingOption(command: Command): void {
  add(command, "--preexisting <how>", "cleartext connections from before: leave or reset", {
    parse: values.oneOf("leave", "reset"),
    shown: "leave on a host, reset in a pod",
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
  addDuration(command, "--connection-max-age", "for a connection's life, or none", limits.ageMsMax);
  addDuration(
    command,
    "--first-bytes-timeout",
    "for a silent client of a permissive port",
    limits.firstBytesMsMax,
  );
  add(command, "--connections <count>", "live connections; one more is reset", {
    parse: values.count,
    default: [limits.connectionsMax, String(limits.connectionsMax)],
  });
  add(command, "--handshakes <count>", "outbound TLS handshakes at once", {
    parse: values.count,
    default: [limits.handshakesMax, String(limits.handshakesMax)],
  });
  add(command, "--memory <size>", "to plan with, like 256MiB; fewer things go on at once in less", {
    parse: values.bytes,
    shown: "what the container may have",
  });
  addDuration(command, "--drain", "for live connections after SIGTERM", limits.drainMsMax);
}

/** A default of null makes the option one that may be "none". */
function addDuration(command: Command, name: string, about: string, value: number | null): void {
  const optional = mayBeNone.has(name);
  add(command, `${name} <duration>`, about, {
    parse: values.durationOf(durationMsMin.get(name) ?? 1, optional),
    default: [value, values.formatDuration(value)],
  });
}

/** Shorter ones would end what is healthy. TCP counts its keep-alive in seconds. A drain may be none at all. */
const durationMsMin = new Map([
  ["--connect-timeout", 100],
  ["--handshake-timeout", 100],
  ["--linger", 100],
  ["--idle-timeout", 100],
  ["--tcp-keepalive", 1000],
  ["--tcp-user-timeout", 100],
  ["--connection-max-age", 1000],
  ["--first-bytes-timeout", 10],
]);

const mayBeNone = new Set([
  "--idle-timeout",
  "--tcp-keepalive",
  "--tcp-user-timeout",
  "--connection-max-age",
]);

export function addOtherOptions(command: Command): void {
  command.optionsGroup("Privileges (tls-tproxy help privileges):");
  add(command, "--privileges <how>", "kept; or dropped once the rules stand", {
    parse: values.oneOf("kept", "dropped"),
    shown: "dropped, but with --policy or on a host",
  });
  add(command, "--rules <whose>", "own; or external: others put them in place", {
    parse: values.oneOf("own", "external"),
    default: ["own", "own"],
  });
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
      parse: values.durationOf(100),
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
