/** The options, their environment variables and their help; configuration.ts evaluates them. */
import { Option, type Command } from "commander";
import { defaultLimits, defaultLogLines, defaultMark } from "../config.ts";
import { dnsTcpWords, sourceModes } from "../policy/policy.ts";
import * as values from "./values.ts";

export function addCredentialOptions(command: Command): void {
  command.optionsGroup("Credentials (three PEM files, or a directory):");
  add(command, "--cert <file>", "certificate of this pod, followed by its chain", file);
  add(command, "--key <file>", "private key of the certificate", file);
  add(command, "--ca-cert <file>", "CA bundle that peers' certificates chain to", file);
  add(command, "--credentials <directory>", "a directory with all three files", {
    parse: values.file,
    shown: "the GKE directory, if it exists",
  });
  add(command, "--tls-min <version>", "lowest TLS version: 1.3, or 1.2 for old peers", {
    parse: values.tlsVersion,
    default: ["1.3", "1.3"],
  });
}

/** Options with equivalents in a policy file, and the file itself. */
export function addPolicyOptions(command: Command): void {
  command.optionsGroup("Policy (each field of the file overrides its option):");
  add(command, "--policy <file>", "YAML file: what is intercepted, how, and for whom", {
    parse: values.file,
  });
  add(command, "--verify <by>", "verify servers by SPIFFE ID (spiffe) or address (ip)", {
    parse: values.verification,
    shown: "spiffe if our certificate has an ID",
  });
  add(command, "--trust-domain <name>", "trust domain of the peers' SPIFFE IDs", {
    parse: values.trustDomain,
    shown: "our own",
  });
  add(
    command,
    "--preserve-source <what>",
    "how much of a client's address applications see: ip-port, ip, or off",
    {
      parse: values.oneOf(...sourceModes),
      shown: "ip-port",
    },
  );
}

export function addInterceptionOptions(command: Command): void {
  command.optionsGroup("Interception (lists with commas; ports: 8080 or 8000-8100):");
  add(
    command,
    "--mesh-cidr <ranges>",
    'destinations that require mutual TLS: ranges, "default", or "none"',
    {
      parse: values.meshRanges(),
      shown: "the private ranges",
    },
  );
  add(command, "--exclude-cidr <ranges>", "destinations left alone", {
    parse: values.list(values.cidr),
  });
  add(command, "--dns-tcp <how>", "TCP port 53 of our name servers: leave, or intercept", {
    parse: values.oneOf(...dnsTcpWords),
    shown: "leave",
  });
  add(
    command,
    "--api-server <addresses>",
    "the cluster's API server (left alone), like 10.0.0.9:6443",
    {
      parse: values.list(values.socketAddress),
      shown: "from the environment",
    },
  );
  add(command, "--outbound-port <ports>", "divert connections to these destination ports only", {
    parse: values.list(values.portRange),
    shown: "all",
  });
  add(command, "--exclude-outbound-port <ports>", "destination ports left alone", {
    parse: values.list(values.portRange),
  });
  add(command, "--inbound-port <ports>", 'inbound ports to intercept, or "none"', {
    parse: values.portsOrNone(),
    shown: "all",
  });
  add(command, "--exclude-inbound-port <ports>", "ports left in cleartext, as without the proxy", {
    parse: values.list(values.portRange),
  });
  addOwnerOptions(command);
  add(command, "--host [boolean]", "behave as on a host (tls-tproxy help host)", {
    parse: values.boolean,
    preset: "true",
    shown: "true in the machine's own network namespace",
  });
  add(command, "--wire-ports <range>", "source ports to connect from, like 20000-23999", {
    parse: values.wirePorts,
    shown: "ports that applications never get",
  });
  add(command, "--mark <value/mask>", "bits of the fwmark that the proxy uses", {
    parse: values.mark,
    default: [defaultMark, "0xa/0xf"],
  });
}

/** By owner of the process: numbers or names. */
function addOwnerOptions(command: Command): void {
  add(command, "--exclude-uid <users>", "users whose outbound connections are left alone", {
    parse: values.list(values.uid),
  });
  add(command, "--exclude-gid <groups>", "groups whose outbound connections are left alone", {
    parse: values.list(values.gid),
  });
  add(command, "--only-uid <users>", "divert outbound connections of these users only", {
    parse: values.list(values.uid),
    shown: "all",
  });
  add(command, "--only-gid <groups>", "divert outbound connections of these groups only", {
    parse: values.list(values.gid),
    shown: "all",
  });
  add(command, "--forwarded <how>", "forwarded connections to the mesh: drop, or leave", {
    parse: values.oneOf("drop", "leave"),
    default: ["drop", "drop"],
  });
}

export function addListenOptions(command: Command): void {
  command.optionsGroup("Listening:");
  add(command, "--tcp-port <port>", "port to listen on for outbound connections", {
    parse: values.port,
    default: [1, "1"],
  });
  add(command, "--tls-port <port>", "port to listen on for connections to strict ports", {
    parse: values.port,
    default: [2, "2"],
  });
  add(
    command,
    "--inspect-port <port>",
    "port to listen on for audit and permissive ports, and for inspected probes",
    {
      parse: values.port,
      default: [3, "3"],
    },
  );
  add(command, "--status-address <address>", "address of /healthz, /readyz and /metrics", {
    parse: values.statusAddress,
    default: [values.statusAddress(":15020"), ":15020"],
  });
}

/** Called right after `addInterceptionOptions`, to be in the same group of the help. */
export function addPreexistingOption(command: Command): void {
  add(command, "--preexisting <how>", "connections from before the start: leave or reset", {
    parse: values.oneOf("leave", "reset"),
    shown: "leave on a host, reset in a pod",
  });
}

export function addLimitOptions(command: Command): void {
  command.optionsGroup("Limits (durations: 500ms, 10s, 5m or 1h; some may be none):");
  const limits = defaultLimits;
  addDuration(
    command,
    "--connect-timeout",
    "longest time to connect to a destination",
    limits.connectMsMax,
  );
  addDuration(
    command,
    "--handshake-timeout",
    "longest time for a TLS handshake",
    limits.handshakeMsMax,
  );
  addDuration(
    command,
    "--linger",
    "longest wait for the last FIN after both sides ended",
    limits.lingerMsMax,
  );
  addDuration(
    command,
    "--idle-timeout",
    "longest time without data on a connection",
    limits.idleMsMax,
  );
  addDuration(
    command,
    "--tcp-keepalive",
    "time that a peer may be silent before it is probed",
    limits.keepAliveMsMax,
  );
  addDuration(
    command,
    "--tcp-user-timeout",
    "longest time that sent bytes stay unacknowledged",
    limits.userTimeoutMsMax,
  );
  addDuration(command, "--connection-max-age", "longest life of a connection", limits.ageMsMax);
  addDuration(
    command,
    "--first-bytes-timeout",
    "longest wait for the first byte on ports that --inspect-port serves",
    limits.firstBytesMsMax,
  );
  addCountOptions(command);
}

/** The other limits: counts, memory, and shutdown. */
function addCountOptions(command: Command): void {
  const limits = defaultLimits;
  add(command, "--connections <count>", "maximum of open connections; one more is reset", {
    parse: values.count,
    default: [limits.connectionsMax, String(limits.connectionsMax)],
  });
  add(command, "--handshakes <count>", "maximum of outbound TLS handshakes at once; others wait", {
    parse: values.count,
    default: [limits.handshakesMax, String(limits.handshakesMax)],
  });
  add(command, "--memory <size>", "memory to plan with, like 256MiB; limits connections", {
    parse: values.bytes,
    shown: "what the container may use",
  });
  addDuration(
    command,
    "--drain",
    "longest wait for open connections after SIGTERM",
    limits.drainMsMax,
  );
}

/** With a default of null the option accepts "none". */
function addDuration(command: Command, name: string, about: string, value: number | null): void {
  const optional = mayBeNone.has(name);
  add(command, `${name} <duration>`, about, {
    parse: values.durationOf(durationMsMin.get(name) ?? 1, optional),
    default: [value, values.formatDuration(value)],
  });
}

/** Shorter ones would end healthy connections. TCP counts its keep-alive in seconds. The drain may be zero. */
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

export function addPrivilegeOptions(command: Command): void {
  command.optionsGroup("Privileges (tls-tproxy help privileges):");
  add(command, "--privileges <how>", "kept, or dropped once the rules are in place", {
    parse: values.oneOf("kept", "dropped"),
    shown: "dropped, but kept on a host",
  });
  add(command, "--rules <whose>", "own, or external: another process applies them", {
    parse: values.oneOf("own", "external"),
    default: ["own", "own"],
  });
}

export function addOtherOptions(command: Command): void {
  command.optionsGroup("Other:");
  add(command, "--remove-rules-on-exit [boolean]", "remove rules at exit; false is fail-closed", {
    parse: values.boolean,
    preset: "true",
    shown: "true on a host, false in a pod",
  });
  add(command, "--confirm <duration>", "remove the rules unless tls-tproxy confirm runs in time", {
    parse: values.durationOf(100),
  });
  add(command, "--log-format <form>", "text, or json with a field for each value", {
    parse: values.logFormat,
    default: ["text", "text"],
  });
  add(command, "--log-lines <count>", "lines of one kind a second; more are left out and counted", {
    parse: values.count,
    default: [defaultLogLines, String(defaultLogLines)],
  });
  add(command, "--metrics-names <which>", "names of metrics: new, or old (without tproxy_)", {
    parse: values.oneOf("new", "old"),
    default: ["new", "new"],
  });
  add(command, "-v, --v <level>", "verbosity of the log; 1 logs accepted connections", {
    parse: values.verbosity,
    default: [0, "0"],
  });
}

type OptionForm = {
  readonly parse?: ((text: string, before: unknown) => unknown) & {
    /** All possible values, if that is a short list. */
    readonly words?: readonly string[];
  };
  /** The value, and how the help shows it. */
  readonly default?: readonly [value: unknown, shown: string];
  /** A default that is computed later. */
  readonly shown?: string;
  readonly preset?: string;
};

/** The help text of an option: its environment variable is explained once for all, below. */
export function describeOption(option: Option): string {
  const shown = option.defaultValueDescription;
  return shown === undefined ? option.description : `${option.description} (default: ${shown})`;
}

export function add(command: Command, flags: string, about: string, form: OptionForm = {}): void {
  const shown = form.shown === undefined ? about : `${about} (default: ${form.shown})`;
  const option = new Option(flags, shown);
  option.env(`TPROXY_${option.name().toUpperCase().replaceAll("-", "_")}`);
  if (form.parse !== undefined) option.argParser(form.parse);
  if (form.parse?.words !== undefined) option.argChoices = [...form.parse.words];
  if (form.default !== undefined) option.default(...form.default);
  if (form.preset !== undefined) option.preset(form.preset);
  command.addOption(option);
}

const file: OptionForm = { parse: values.file };
