/** Everything the proxy is told, with defaults and limits; checked before anything is bound. */
import { parseCidr, type Cidr } from "./net/cidr.ts";
import type { SocketAddress } from "./net/address.ts";

export type Config = {
  readonly credentials: CredentialFiles;
  /** "1.3", or "1.2" for old peers. */
  readonly tlsVersionMin: "1.2" | "1.3";
  readonly verification: Verification;
  readonly log: LogConfig;
  readonly statusAddress: SocketAddress;
  readonly interception: Interception;
  /** False leaves the rules in place at the end: captured traffic is dropped until a proxy runs again. */
  readonly removeRulesOnExit: boolean;
  /** The rules go again, and the proxy with them, unless somebody confirms within this time. */
  readonly confirmMsMax: number | null;
  readonly limits: Limits;
};

/** By address: a server's certificate names it. By SPIFFE: both peers are of a trust domain, null for our own. */
export type Verification =
  { readonly kind: "ip" } | { readonly kind: "spiffe"; readonly trustDomain: string | null };

export type LogConfig = {
  /** 0 logs one line a connection; higher says more. */
  readonly verbosity: number;
  readonly format: "text" | "json";
  /** Lines a second of one source and severity. */
  readonly linesMax: number;
};

export type CredentialFiles = {
  readonly certificate: string;
  readonly key: string;
  readonly trustBundle: string;
};

/** What the kernel is asked to hand over; all the rules follow from it (intercept/plan.ts). */
export type Interception = {
  /** Destinations that are reached by mutual TLS only. */
  readonly meshRanges: readonly Cidr[];
  readonly excludedRanges: readonly Cidr[];
  readonly excludedOutboundPorts: readonly number[];
  /** Ports of the application that peers reach by mutual TLS only. */
  readonly inboundPorts: "all" | readonly number[];
  readonly excludedInboundPorts: readonly number[];
  /** Users whose outbound connections are left alone. */
  readonly excludedUids: readonly number[];
  /** The only users whose outbound connections are diverted. */
  readonly onlyUids: "all" | readonly number[];
  /** Single destinations left alone: the environment's API server. */
  readonly excludedDestinations: readonly SocketAddress[];
  readonly mark: Mark;
  /** Loopback port that diverted outbound connections are accepted on. */
  readonly tcpPort: number;
  /** Loopback port that diverted inbound TLS is accepted on. */
  readonly tlsPort: number;
  /** Port of the status server: never intercepted. */
  readonly statusPort: number;
};

/** A masked fwmark: packets to divert carry `value`, the proxy's own `value ^ mask`. Both are non-zero. */
export type Mark = { readonly value: number; readonly mask: number };

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
  readonly backlogMax: number;
};

/** The private ranges: RFC 1918, RFC 6598, RFC 4193. */
export const defaultMeshRanges: readonly Cidr[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
].map(parseCidr);

export const defaultMark: Mark = { value: 0xa, mask: 0xf };

/** What a pod gets without any option. */
export const defaultInterception: Interception = {
  meshRanges: defaultMeshRanges,
  excludedRanges: [],
  excludedOutboundPorts: [],
  inboundPorts: "all",
  excludedInboundPorts: [],
  excludedUids: [],
  onlyUids: "all",
  excludedDestinations: [],
  mark: defaultMark,
  tcpPort: 1,
  tlsPort: 2,
  statusPort: 15_020,
};

export const defaultLimits: Limits = {
  connectMsMax: 10_000,
  handshakeMsMax: 10_000,
  lingerMsMax: 60_000,
  idleMsMax: null,
  keepAliveMsMax: 180_000,
  userTimeoutMsMax: null,
  connectionsMax: 10_000,
  drainMsMax: 30_000,
  dismissMsMax: 1000,
  handshakesMax: 16,
  handshakeLeaseMsMax: 100,
  backlogMax: 4096,
};

export const defaultLogLines = 200;

/** Descriptors that connections never take: listeners, status connections, files, Bun's own. */
export const descriptorReserve = 128;
