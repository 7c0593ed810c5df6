/** The source address of a connection that the proxy makes. */
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, portedAs, type SocketAddress } from "./address.ts";
import { ephemeralPorts, includesPort, type Ports } from "./ports.ts";

export type Origin =
  /** An address of our own; with port 0 the kernel chooses the port. */
  | { readonly kind: "own"; readonly address: SocketAddress }
  /** A client's address and port, which are not ours: ip(7), IP_TRANSPARENT. */
  | { readonly kind: "client"; readonly address: SocketAddress }
  | { readonly kind: "any" };

type Bound = Exclude<Origin, { readonly kind: "any" }>;

/** Sockets of ours reserve these ports until the returned function is called. */
export function markReserved(ports: readonly number[]): () => void {
  for (const port of ports) reserved.add(port);
  return () => {
    for (const port of ports) reserved.delete(port);
  };
}

/** Called before connect(2). Throws SystemCallError: EADDRINUSE, or EADDRNOTAVAIL for an address that is not ours. */
export function bindOrigin(fd: number, origin: Origin): void {
  if (origin.kind === "any") return;
  const { address } = origin;
  if (origin.kind === "client") native.setTransparent(fd, familyOf(address));
  if (leavesChoice(fd, origin)) {
    native.bind(fd, encodeSocketAddress(portedAs(address, 0)));
    return;
  }
  // Two sockets may share a port unless one of them listens: the other ends distinguish them.
  native.setReuseAddress(fd);
  native.bind(fd, encodeSocketAddress(address));
}

/**
 * Whether connect(2) must choose the port. While bind(2) holds a port, no application gets it for any destination, so
 * no port of the applications' range is bound: the kernel chooses it from a range of one (ip(7), IP_LOCAL_PORT_RANGE,
 * Linux 6.3), which works only within ip_local_port_range.
 */
function leavesChoice(fd: number, { kind, address: { port } }: Bound): boolean {
  // Wire ports are outside the applications' range, or reserved.
  const ours = kind === "own" || reserved.has(port) || !includesPort(applications(), port);
  if (port !== 0 && ours) return false;
  native.setBindAddressNoPort(fd);
  return port === 0 || limitPorts(fd, port);
}

function limitPorts(fd: number, port: number): boolean {
  if (!knowsPortRange) return false;
  try {
    native.setLocalPortRange(fd, port, port);
    return true;
  } catch (error) {
    if (!(error instanceof SystemCallError) || errnoName(error.errno) !== "ENOPROTOOPT")
      throw error;
    knowsPortRange = false;
    return false;
  }
}

function familyOf({ family }: SocketAddress): native.AddressFamily {
  return family === 4 ? native.addressFamily.inet : native.addressFamily.inet6;
}

/** Read once: it belongs to the pod, and changes only at its start, if ever. */
function applications(): Ports {
  known ??= ephemeralPorts();
  return known;
}

const reserved = new Set<number>();
let known: Ports | null = null;
let knowsPortRange = true;
