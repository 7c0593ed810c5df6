/** Options of all the proxy's sockets: its mark, in-line urgent data, and the kernel's probes of silent peers. */
import { readFileSync } from "node:fs";

import * as native from "../native/native.ts";

export type SocketOptions = {
  /** The proxy's own fwmark: marked packets are never intercepted. Null for sockets that stay in the namespace. */
  readonly mark: number | null;
  readonly keepAliveMsMax: number | null;
  readonly userTimeoutMsMax: number | null;
  /** Speaks for a verified peer to a local application: packets pass its TTL security (RFC 5082, IP_MINTTL). */
  readonly neighbour?: boolean;
};

export function socketOptionsOf(
  { keepAliveMsMax, userTimeoutMsMax }: Omit<SocketOptions, "mark">,
  mark: number,
): SocketOptions {
  return { mark, keepAliveMsMax, userTimeoutMsMax };
}

/**
 * Sets a socket's options before bind(2) or connect(2); connections accepted by a listener inherit them. A dead peer
 * is detected after twice `keepAliveMsMax`. Throws SystemCallError.
 */
export function applyOptions(fd: number, of: SocketOptions, family: native.AddressFamily): void {
  if (of.mark !== null) native.setMark(fd, of.mark);
  // Without this, recv(2) omits the last urgent byte: RFC 6093, 3.
  native.setUrgentInline(fd);
  if (of.neighbour === true) native.setHopsOfNeighbour(fd, family);
  if (of.keepAliveMsMax !== null) {
    const idleSeconds = Math.max(1, Math.round(of.keepAliveMsMax / 1000));
    const intervalSeconds = Math.max(1, Math.round(idleSeconds / keepAliveProbes));
    const probes = hasUsualProbes() ? null : keepAliveProbes;
    native.setKeepAlive(fd, { idleSeconds, intervalSeconds, probes });
  }
  if (of.userTimeoutMsMax !== null) native.setUserTimeout(fd, of.userTimeoutMsMax);
}

/** Whether the namespace's default is this number of probes, which saves a call per socket. Read once. */
function hasUsualProbes(): boolean {
  usual ??= readProbes() === keepAliveProbes;
  return usual;
}

function readProbes(): number | null {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/tcp_keepalive_probes", "latin1"));
  } catch {
    return null; // Without /proc the option is set on each socket.
  }
}

let usual: boolean | null = null;
/** Linux's default: tcp_keepalive_probes. */
const keepAliveProbes = 9;
