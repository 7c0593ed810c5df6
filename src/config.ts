/** Everything the proxy is told, with defaults and limits; checked before anything is bound. */
import type { CredentialFiles } from "./identity/discovery.ts";
import type { Fixed } from "./intercept/rules/interception.ts";
import type { Mark } from "./intercept/rules/marks.ts";
import type { SocketAddress } from "./net/address.ts";
import type { Ports } from "./net/ports.ts";
import type { PolicySource } from "./policy/policy-file.ts";
import type { LogOptions } from "./runtime/log/log.ts";
import { defaultMeshRanges, type Policy } from "./policy/policy.ts";
import { noProbes } from "./probe/probe.ts";

export type Config = {
  readonly credentials: CredentialFiles;
  /** How they were found, for the log: "--cert, --key, --ca-cert". */
  readonly credentialsSource: string;
  /** "1.3", or "1.2" for old peers. */
  readonly tlsVersionMin: "1.2" | "1.3";
  readonly policy: PolicySource;
  readonly log: LogOptions;
  readonly statusAddress: SocketAddress;
  /** old: the names of metrics before they got the prefix `tproxy_`. */
  readonly metricsNames: "new" | "old";
  readonly fixed: Fixed;
  /** False leaves the rules in place at the end: captured traffic is dropped until a proxy runs again. */
  readonly removeRulesOnExit: boolean;
  /** The rules go again, and the proxy with them, unless somebody confirms within this time. */
  readonly confirmMsMax: number | null;
  /** Whether everything that relaying does not need is given up once the rules stand. */
  readonly privileges: "kept" | "dropped";
  /** What becomes of connections from before the start that are in cleartext and would be refused now. */
  readonly preexisting: "leave" | "reset";
  /** external: others put the rules in place, and take them away. */
  readonly rules: "own" | "external";
  /** How this program is started, for starting it again. */
  readonly command: readonly string[];
  readonly limits: Limits;
  /** Source ports of connections to peers; null for those that applications are not given. */
  readonly wirePorts: Ports | null;
};

export type Limits = {
  readonly connectMsMax: number;
  readonly handshakeMsMax: number;
  /** How long a connection whose both directions have ended may wait for the last FIN. */
  readonly lingerMsMax: number;
  /** How long a connection may carry nothing, null for ever. */
  readonly idleMsMax: number | null;
  /** How long a socket may be silent before the kernel probes its peer, null for ever: tcp(7), TCP_KEEPIDLE. */
  readonly keepAliveMsMax: number | null;
  /** How long sent bytes may stay unacknowledged, null for the kernel's own patience: tcp(7), TCP_USER_TIMEOUT. */
  readonly userTimeoutMsMax: number | null;
  /** How long a connection may live, null for as long as its certificates are valid. */
  readonly ageMsMax: number | null;
  /** How long a client of an inspected port may be silent before it counts as one that waits for the server. */
  readonly firstBytesMsMax: number;
  /** Live connections; each holds two descriptors. */
  readonly connectionsMax: number;
  /** How long live connections are served after the signal to end. */
  readonly drainMsMax: number;
  /** How long a refused peer may take to hear that it is. */
  readonly dismissMsMax: number;
  /** Outbound handshakes begun and not finished. */
  readonly handshakesMax: number;
  /** After this long a handshake gives its place to the next, whether it is over or not. */
  readonly handshakeLeaseMsMax: number;
  /** Of these with one destination, for a shorter time: tls/handshake-gate.ts. */
  readonly handshakesEachMax: number;
  readonly handshakeEachLeaseMsMax: number;
  readonly backlogMax: number;
  /** What the proxy plans with, null for what its container allows (native/memory-limit.ts). */
  readonly memoryBytesMax: number | null;
};

export const defaultMark: Mark = { value: 0xa, mask: 0xf };

export const defaultFixed: Fixed = {
  excludedUids: [],
  onlyUids: "all",
  excludedGids: [],
  onlyGids: "all",
  forwarded: "drop",
  excludedDestinations: [],
  mark: defaultMark,
  tcpPort: 1,
  tlsPort: 2,
  inspectPort: 3,
  statusPort: 15_020,
  probes: noProbes,
};

const byDefault = <T>(value: T): { readonly value: T; readonly origin: "default" } => ({
  value,
  origin: "default",
});

/** What a pod gets without any option. */
export const defaultPolicy: Policy = {
  trustDomain: byDefault(null),
  verify: byDefault(null),
  inbound: {
    mode: byDefault("strict"),
    allow: byDefault(null),
    preserveSource: byDefault("ip-port"),
    ports: [],
  },
  outbound: {
    mesh: byDefault(defaultMeshRanges),
    exclude: byDefault([]),
    ports: byDefault("all"),
    excludePorts: byDefault([]),
    expect: [],
    dnsTcp: byDefault("leave"),
    resolvers: [],
  },
};

export const defaultLimits: Limits = {
  connectMsMax: 10_000,
  handshakeMsMax: 10_000,
  lingerMsMax: 60_000,
  idleMsMax: null,
  keepAliveMsMax: 180_000,
  userTimeoutMsMax: null,
  ageMsMax: null,
  firstBytesMsMax: 1000,
  connectionsMax: 10_000,
  drainMsMax: 30_000,
  dismissMsMax: 1000,
  handshakesMax: 16,
  handshakeLeaseMsMax: 100,
  handshakesEachMax: 6,
  handshakeEachLeaseMsMax: 5,
  backlogMax: 4096,
  memoryBytesMax: null,
};

export const defaultLogLines = 200;

/**
 * What one stalled direction may hold: the read of Bun's during which its reader stopped (512 KiB), and on TLS as
 * much again that was decrypted with it.
 */
export const heldBytesMax = 1 << 20;

/** How long a handshake with ourselves may take, before our own credentials are taken. */
export const selfHandshakeMsMax = 10_000;
/** How memory is shared out: connection/budget.ts. Bytes were measured with Bun 1.4.5. */
export const memoryPlan = {
  /** A proxy at rest: what is not the executable's own file. */
  restBytes: 20 << 20,
  /** The least that is planned with beside that. */
  spareBytesMin: 8 << 20,
  /** A live connection that is idle: both legs, their sockets in the kernel included. */
  connectionBytes: 21 << 10,
  /** Shares of the spare memory, in eighths. */
  connectionsEighths: 5,
  unverifiedEighths: 1,
  heldEighths: 2,
  unverifiedBytesMax: 64 << 20,
  /** The largest handshake that the TLS library reads, which holds it until it is whole. */
  handshakeBytes: 108 << 10,
  handshakesMin: 4,
  handshakesMax: 128,
  /** How often the limit is read again. */
  readMs: 1000,
} as const;

/** Handshakes of inbound peers, until they are verified: tls/unverified.ts. */
export const unverifiedLimits = {
  /** Between two looks at all of them: so long for each, within these bounds. */
  lookEachMs: 0.04,
  lookMsMin: 20,
  lookMsMax: 200,
  /** So long one is not looked at where all of them together cannot keep more than there is room for. */
  calmMs: 200,
  /** So long one stays where it would only make room for one like it. */
  graceMs: 500,
  /** After this long a handshake gives its place up where others wait. */
  leaseMsMax: 50,
  /** What a peer may send until it is verified: the largest certificate list that the TLS library takes, and all beside it. */
  handshakeBytesMax: 128 << 10,
  /** What each connection has room for without being counted: a ClientHello, a chain of usual size. */
  freeBytes: 8 << 10,
  /** Of a socket and its TLS state, before anything was read. */
  baseBytes: 12 << 10,
} as const;

/** Of a TLS leg that does not take all: what waits in Bun, encrypted, a batch of eight records at most. */
export const encryptedBytesMax = 131_250;

/** SO_RCVBUF of legs that are paused while memory is short; one read brings twice as much at most. */
export const narrowReceiveBytes = 32 << 10;

/** Places that only outbound connections take: one in so many. */
export const outboundReservePart = 8;

/** Descriptors that connections never take: listeners, status connections, files, Bun's own. */
export const descriptorReserve = 128;
