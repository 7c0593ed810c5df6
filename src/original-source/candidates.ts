/**
 * The source that the proxy presents to its application: the client's address and port, only its address, or the
 * proxy itself. Pure.
 *
 * Two connections in one namespace cannot have the same two addresses and ports. The one on the wire has the client's
 * address and a port of its proxy; so the one to the application may have the client application's port, as long as
 * no connection on the wire has it or will have it. The client's proxy guarantees that by using separate ports for
 * the wire.
 */
import { aliasOf } from "../net/alias.ts";
import { isSameIp, portedAs, type SocketAddress } from "../net/address.ts";
import type { Origin } from "../net/origin.ts";
import type { SourceMode } from "../policy/policy.ts";
import type { ClientAddress } from "./proxy-header.ts";

export type Kept = "ip-port" | "ip" | "none";

/** The reason for the result, a closed list, because it becomes a label. */
export const sourceReasons = [
  /** As the mode asks. */
  "as-asked",
  /** As the mode asks, but the application sees another address as its own. */
  "alias",
  /** The application listens on one address, so it cannot be reached at another. */
  "one-address",
  /** The port is unknown, and the one on the wire is in use there. */
  "foreign-client",
  /** The client's proxy cannot guarantee that its other connections do not use that port: it had none left. */
  "wire-port",
  /** The client's address was changed on the way. */
  "address-differs",
  /** The client's port is below 1024, and the proxy lacks CAP_NET_BIND_SERVICE. */
  "reserved-port",
  /**
   * Refused with the client's address: others forward the port to another place, from where answers do not return.
   */
  "translated",
  /** Another connection has the same addresses and ports. */
  "same-tuple",
  /** The client is this pod. */
  "self",
  "link-local",
  /** There is no port outside both the applications' range and the proxies' wire ports. */
  "no-port",
  /** The application's answers would not reach the proxy: outside the mesh, excluded, or because of its user. */
  "no-return-path",
  /** Others have changed the rules, so nothing may depend on them. */
  "rules-changed",
  /** The application did not answer this address in time. */
  "no-answer",
  /** Refused by the kernel: CAP_NET_RAW, descriptors. */
  "kernel",
] as const;
export type SourceReason = (typeof sourceReasons)[number];

export type Candidate = {
  readonly origin: Origin;
  readonly to: SocketAddress;
  readonly kept: Kept;
  /** Why it is not better. */
  readonly reason: SourceReason;
};

export type Facts = {
  readonly mode: SourceMode;
  /** The address at the other end of the wire. */
  readonly wire: SocketAddress;
  /** The client address sent by its proxy; null for a client without a proxy of ours. */
  readonly clientAddress: ClientAddress | null;
  readonly original: SocketAddress;
  /** Whether the application's packets to this address reach the proxy. */
  readonly returns: (client: SocketAddress) => boolean;
  /** Whether a connection on the wire comes from there to `original`. */
  readonly onWire: (client: SocketAddress) => boolean;
  /** The application recently did not answer this client's address. */
  readonly silent: boolean;
  /** The rules that return the application's answers are in place. */
  readonly standing: boolean;
  /** For a client whose port is not preserved; null if there is none. */
  readonly sparePort: () => number | null;
};

/** The candidates in order; the last one always works if the application does. */
export function* candidatesOf(facts: Facts): Generator<Candidate> {
  const never = whyNever(facts);
  if (never !== null) {
    yield asItself(facts, never);
    return;
  }
  const exact = facts.mode === "ip" ? "as-asked" : exactPort(facts);
  if (typeof exact === "number") yield asClient(facts, exact, "ip-port", "as-asked");
  const reason = typeof exact === "number" ? "same-tuple" : exact;
  // Without a free port on the wire the application keeps its own address, because it may have given it to others.
  const ownFirst = reason === "wire-port";
  if (facts.mode === "ip-port" && !ownFirst) yield asClientAtAlias(facts, reason);
  yield* byAddress(facts, reason);
  if (facts.mode === "ip-port" && ownFirst) yield asClientAtAlias(facts, reason);
  yield asItself(facts, reasonAtLast(facts, reason));
}

/** The client's address, with a port that no connection on the wire has. */
function* byAddress(facts: Facts, reason: SourceReason): Generator<Candidate> {
  if (!facts.returns(facts.wire)) return;
  for (let turn = 0; turn < portsTried; turn += 1) {
    const port = facts.sparePort();
    if (port === null) return;
    const address = portedAs(facts.wire, port);
    if (!facts.returns(address) || facts.onWire(address)) continue;
    yield asClient(facts, port, "ip", reason);
  }
}

function reasonAtLast(facts: Facts, reason: SourceReason): SourceReason {
  if (!facts.returns(facts.wire)) return "no-return-path";
  return reason === "as-asked" ? "no-port" : reason;
}

function asClient(
  { wire, original }: Facts,
  port: number,
  kept: Kept,
  reason: SourceReason,
): Candidate {
  return { origin: { kind: "client", address: portedAs(wire, port) }, to: original, kept, reason };
}

/**
 * The application's own address is then the alias: no connection on the wire has it, and what is sent from there
 * comes to us for any client. The application must listen on all addresses.
 */
function asClientAtAlias(
  { wire, clientAddress, original }: Facts,
  reason: SourceReason,
): Candidate {
  const known = clientAddress === null || isSameIp(clientAddress.source, wire);
  return {
    origin: {
      kind: "client",
      address: clientAddress !== null && known ? clientAddress.source : wire,
    },
    to: aliasOf(original),
    kept: known ? "ip-port" : "ip",
    reason: known ? "alias" : reason,
  };
}

function asItself({ original }: Facts, reason: SourceReason): Candidate {
  return { origin: { kind: "any" }, to: original, kept: "none", reason };
}

function whyNever({ mode, wire, original, silent, standing }: Facts): SourceReason | null {
  if (mode === "off") return "as-asked";
  if (isSameIp(wire, original)) return "self";
  if (isLinkLocal(wire)) return "link-local";
  if (!standing) return "rules-changed";
  return silent ? "no-answer" : null;
}

/** The client application's port, or why it cannot be preserved. */
function exactPort({ wire, clientAddress, onWire, returns }: Facts): number | SourceReason {
  if (clientAddress === null) return "foreign-client";
  const { source, distinctPort } = clientAddress;
  if (!isSameIp(source, wire)) return "address-differs";
  if (!distinctPort || source.port === 0) return "wire-port";
  if (!returns(source)) return "no-return-path";
  return onWire(source) ? "same-tuple" : source.port;
}

/** A link-local address has no meaning without its interface. RFC 3927, RFC 4291, 2.5.6. */
function isLinkLocal({ family, bytes }: SocketAddress): boolean {
  const [first = 0, second = 0] = bytes;
  return family === 4
    ? first === 169 && second === 254
    : first === 0xfe && (second & 0xc0) === 0x80;
}

const portsTried = 4;
