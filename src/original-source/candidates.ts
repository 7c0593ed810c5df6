/**
 * As whom the proxy goes to its application: the client's address and port, its address alone, or itself. Pure.
 *
 * Two connections of one namespace cannot have the same two addresses and ports. The one on the wire has the client's
 * address and a port of its proxy's; so the application's may have the client application's port, as long as no
 * connection on the wire has it or will have it. That the client's proxy knows: it has ports of its own for the wire.
 */
import { aliasOf } from "../net/alias.ts";
import { isSameIp, portedAs, type SocketAddress } from "../net/address.ts";
import type { Origin } from "../net/origin.ts";
import type { SourceMode } from "../policy/policy.ts";
import type { ClientAddress } from "./proxy-header.ts";

export type Kept = "ip-port" | "ip" | "none";

/** Why it is as it is, from a closed list: it becomes a label. */
export const sourceReasons = [
  /** As the mode wants it. */
  "as-asked",
  /** As the mode wants it, and the application sees another address as its own. */
  "alias",
  /** The application listens on one address, so it cannot be reached under another. */
  "one-address",
  /** The port is not known, and the one on the wire is in use: on the wire. */
  "foreign-client",
  /** The client's proxy cannot promise that no other connection of its will come from that port: it had none left. */
  "wire-port",
  /** Somebody between has changed the client's address. */
  "address-differs",
  /** The client's port is below 1024, and the proxy has not CAP_NET_BIND_SERVICE. */
  "reserved-port",
  /** Refused under the client's name: others forward the port to another place, from where answers do not come back. */
  "translated",
  /** Another connection has the same addresses and ports. */
  "same-tuple",
  /** The client is this pod. */
  "self",
  "link-local",
  /** There is no port that neither applications are given nor proxies use on the wire. */
  "no-port",
  /** The application's answers would not be led to the proxy: outside the mesh, excluded, or by its user. */
  "no-return-path",
  /** Others have changed the rules: nothing is to depend on them. */
  "rules-changed",
  /** The application did not answer in time under this name. */
  "no-answer",
  /** The kernel has refused it: CAP_NET_RAW, descriptors. */
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
  /** Who is at the other end of the wire. */
  readonly wire: SocketAddress;
  /** What the client's proxy has sent; null for a client that is none of ours. */
  readonly clientAddress: ClientAddress | null;
  readonly original: SocketAddress;
  /** Whether what the application here sends to this address is led to the proxy. */
  readonly returns: (client: SocketAddress) => boolean;
  /** Whether a connection on the wire comes from there to `original`. */
  readonly onWire: (client: SocketAddress) => boolean;
  /** The application has not answered under this client's name of late. */
  readonly silent: boolean;
  /** The rules stand that lead the application's answers back. */
  readonly standing: boolean;
  /** For a client whose port is not kept; null if there is none. */
  readonly sparePort: () => number | null;
};

/** What to try one after the other; the last one always works if the application does. */
export function* candidatesOf(facts: Facts): Generator<Candidate> {
  const never = whyNever(facts);
  if (never !== null) {
    yield asItself(facts, never);
    return;
  }
  const exact = facts.mode === "ip" ? "as-asked" : exactPort(facts);
  if (typeof exact === "number") yield asClient(facts, exact, "ip-port", "as-asked");
  const reason = typeof exact === "number" ? "same-tuple" : exact;
  // For want of a port on the wire the application is not to lose its own address: others may have it of it.
  const ownFirst = reason === "wire-port";
  if (facts.mode === "ip-port" && !ownFirst) yield asClientAtAlias(facts, reason);
  yield* byAddress(facts, reason);
  if (facts.mode === "ip-port" && ownFirst) yield asClientAtAlias(facts, reason);
  yield asItself(facts, reasonAtLast(facts, reason));
}

/** By its address, and a port that no connection on the wire has. */
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
 * The application's own address is another one then: no connection on the wire has it, and what is sent from there comes
 * to us whoever the client is. It has to listen on all addresses.
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

/** The client application's port, or why it cannot be kept. */
function exactPort({ wire, clientAddress, onWire, returns }: Facts): number | SourceReason {
  if (clientAddress === null) return "foreign-client";
  const { source, distinctPort } = clientAddress;
  if (!isSameIp(source, wire)) return "address-differs";
  if (!distinctPort || source.port === 0) return "wire-port";
  if (!returns(source)) return "no-return-path";
  return onWire(source) ? "same-tuple" : source.port;
}

/** It has no meaning without its interface. RFC 3927, RFC 4291, 2.5.6. */
function isLinkLocal({ family, bytes }: SocketAddress): boolean {
  const [first = 0, second = 0] = bytes;
  return family === 4
    ? first === 169 && second === 254
    : first === 0xfe && (second & 0xc0) === 0x80;
}

const portsTried = 4;
