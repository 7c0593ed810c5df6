/** The proxy's whole configuration, with defaults and limits; validated before any port is bound. */
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
  /** old: the metrics' former names, without the prefix `tproxy_`. */
  readonly metricsNames: "new" | "old";
  readonly fixed: Fixed;
  /** False leaves the rules in place at the end: captured traffic is refused until a proxy runs again. */
  readonly removeRulesOnExit: boolean;
  /** Without confirmation within this time the rules are removed and the proxy ends. */
  readonly confirmMsMax: number | null;
  /** Whether all privileges that relaying does not need are dropped once the rules are in place. */
  readonly privileges: "kept" | "dropped";
  /** How preexisting cleartext connections are treated that would be refused now. */
  readonly preexisting: "leave" | "reset";
  /** external: others apply and remove the rules. */
  readonly rules: "own" | "external";
  /** The command line that starts this program again. */
  readonly command: readonly string[];
  readonly limits: Limits;
  /** Source ports of connections to peers; null for those outside the applications' range. */
  readonly wirePorts: Ports | null;
};

export type Limits = {
  readonly connectMsMax: number;
  readonly handshakeMsMax: number;
  /** How long a connection whose both directions have ended may wait for the last FIN. */
  readonly lingerMsMax: number;
  /** How long a connection may carry nothing, null for no limit. */
  readonly idleMsMax: number | null;
  /** How long a socket may be silent before the kernel probes its peer, null for no probes: tcp(7), TCP_KEEPIDLE. */
  readonly keepAliveMsMax: number | null;
  /** How long sent bytes may stay unacknowledged, null for the kernel's default: tcp(7), TCP_USER_TIMEOUT. */
  readonly userTimeoutMsMax: number | null;
  /** How long a connection may live, null for as long as its certificates are valid. */
  readonly ageMsMax: number | null;
  /** How long a client of an inspected port may be silent before the proxy assumes that it waits for the server. */
  readonly firstBytesMsMax: number;
  /** Live connections; each holds two descriptors. */
  readonly connectionsMax: number;
  /** How long live connections are served after the termination signal. */
  readonly drainMsMax: number;
  /** How long the rejection of a peer may take. */
  readonly dismissMsMax: number;
  /** Outbound handshakes in progress. */
  readonly handshakesMax: number;
  /** After this time a handshake gives its place to the next, whether it is over or not. */
  readonly handshakeLeaseMsMax: number;
  /** Handshakes in progress with one destination, limited for a shorter time: tls/handshake-gate.ts. */
  readonly handshakesEachMax: number;
  readonly handshakeEachLeaseMsMax: number;
  readonly backlogMax: number;
  /** The memory for which the proxy plans, null for what its container allows (native/memory-limit.ts). */
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

/** A pod's policy without any option. */
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
 * The limit for one stalled direction: Bun's read during which its reader stopped (512 KiB), and on TLS the same
 * amount again that was decrypted with it.
 */
export const heldBytesMax = 1 << 20;

/** The time limit of the handshake with ourselves that precedes the use of our own credentials. */
export const selfHandshakeMsMax = 10_000;
/** How memory is divided: connection/budget.ts. The sizes were measured with Bun 1.4.5. */
export const memoryPlan = {
  /** A proxy at rest, without the executable's file pages. */
  restBytes: 20 << 20,
  /** The least memory planned for in addition to that. */
  spareBytesMin: 8 << 20,
  /** An idle live connection: both legs, including their sockets in the kernel. */
  connectionBytes: 21 << 10,
  /** Shares of the spare memory, in eighths. */
  connectionsEighths: 5,
  unverifiedEighths: 1,
  heldEighths: 2,
  unverifiedBytesMax: 64 << 20,
  /** The largest handshake that the TLS library reads, which it buffers until complete. */
  handshakeBytes: 108 << 10,
  handshakesMin: 4,
  handshakesMax: 128,
  /** How often the limit is read again. */
  readMs: 1000,
} as const;

/** Handshakes of inbound peers, until they are verified: tls/unverified.ts. */
export const unverifiedLimits = {
  /** Between two checks of all of them: this time per handshake, within these limits. */
  lookEachMs: 0.04,
  lookMsMin: 20,
  lookMsMax: 200,
  /** While all of them together fit, one is not inspected before this time. */
  calmMs: 200,
  /** A connection is not closed for another like it before this time. */
  graceMs: 500,
  /** After this time a handshake gives its place up if others wait. */
  leaseMsMax: 50,
  /** What a peer may send until it is verified: the TLS library's largest certificate list, and everything else. */
  handshakeBytesMax: 128 << 10,
  /** The allowance of each connection that is not counted: a ClientHello, a chain of usual size. */
  freeBytes: 8 << 10,
  /** For a socket and its TLS state, before anything was read. */
  baseBytes: 12 << 10,
} as const;

/** For a TLS leg with back-pressure: the encrypted data pending in Bun, a batch of at most eight records. */
export const encryptedBytesMax = 131_250;

/** SO_RCVBUF of legs that are paused while memory is short; one read brings at most twice as much. */
export const narrowReceiveBytes = 32 << 10;

/** Places for outbound connections only: one in this many. */
export const outboundReservePart = 8;

/** Descriptors that connections never use: listeners, status connections, files, Bun's own. */
export const descriptorReserve = 128;

/** Free descriptors without which a start is refused before it changes anything. It opens some 25 at once. */
export const startDescriptors = 64;
