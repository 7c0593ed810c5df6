/** Where a connection that the proxy makes comes from, as its other end sees it. */
import { errnoName, SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { encodeSocketAddress, portedAs, type SocketAddress } from "./address.ts";
import { ephemeralPorts, includesPort, type Ports } from "./ports.ts";

export type Origin =
  /** An address of our own; port 0 for one that the kernel chooses. */
  | { readonly kind: "own"; readonly address: SocketAddress }
  /** A client's address and port, which are not ours: ip(7), IP_TRANSPARENT. */
  | { readonly kind: "client"; readonly address: SocketAddress }
  | { readonly kind: "any" };

type Bound = Exclude<Origin, { readonly kind: "any" }>;

/** These ports are reserved by sockets of ours, until the returned function is called. */
export function holdPorts(ports: readonly number[]): () => void {
  for (const port of ports) held.add(port);
  return () => {
    for (const port of ports) held.delete(port);
  };
}

/** Before connect(2). Throws SystemCallError: EADDRINUSE, or EADDRNOTAVAIL for an address that is not ours. */
export function bindOrigin(fd: number, origin: Origin): void {
  if (origin.kind === "any") return;
  const { address } = origin;
  if (origin.kind === "client") native.setTransparent(fd, familyOf(address));
  if (leavesChoice(fd, origin)) {
    native.bind(fd, encodeSocketAddress(portedAs(address, 0)));
    return;
  }
  // As long as one of two is not listening, both may have the port: the other end tells them apart.
  native.setReuseAddress(fd);
  native.bind(fd, encodeSocketAddress(address));
}

/**
 * Whether connect(2) is to choose the port. A port that bind(2) has taken is given to no application as long as it is held,
 * wherever that wants to go; so of the applications' ports none is: the kernel chooses, from a range of one (ip(7),
 * IP_LOCAL_PORT_RANGE, Linux 6.3), which it does only within ip_local_port_range.
 */
function leavesChoice(fd: number, { kind, address: { port } }: Bound): boolean {
  // Ports for the wire are none of the applications', or reserved.
  const ours = kind === "own" || held.has(port) || !includesPort(applications(), port);
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

/** Read once: it is the pod's, and changes at its start if ever. */
function applications(): Ports {
  known ??= ephemeralPorts();
  return known;
}

const held = new Set<number>();
let known: Ports | null = null;
let knowsPortRange = true;
