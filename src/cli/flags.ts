/** What commander makes of the options, under its own names. */
import type { Mark } from "../intercept/rules/marks.ts";
import type { SocketAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import type { Ports } from "../net/ports.ts";
import type { DnsTcp, SourceMode } from "../policy/policy.ts";
import type { Probe, ProbeMode } from "../probe/probe.ts";
import type { SourceName } from "../probe/sources.ts";

/** Commander's values for the interception, under commander's names. */
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
} & PolicyFlags;

export type ProbeFlags = {
  readonly probe?: readonly Probe[];
  readonly probeSource?: readonly SourceName[];
  readonly probeMode: ProbeMode;
};

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

export type PrivilegeFlags = {
  readonly privileges?: "kept" | "dropped";
  readonly rules: "own" | "external";
};

export type RunFlags = InterceptionFlags & {
  readonly v: number;
  readonly logFormat: "text" | "json";
  readonly logLines: number;
  readonly metricsNames: "new" | "old";
  readonly removeRulesOnExit?: boolean;
  readonly confirm?: number;
} & CredentialFlags &
  LimitFlags &
  PreexistingFlags &
  ProbeFlags &
  PrivilegeFlags;

/** Milliseconds and counts; null means "none". */
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
