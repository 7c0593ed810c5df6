/** What all sockets of the proxy have in common: its mark, urgent data in line, and the kernel's watch over silent peers. */
import { readFileSync } from "node:fs";

import * as native from "../native/native.ts";

export type SocketOptions = {
  /** The proxy's own fwmark: what carries it is never intercepted. Null for sockets that leave no namespace. */
  readonly mark: number | null;
  readonly keepAliveMsMax: number | null;
  readonly userTimeoutMsMax: number | null;
  /** Speaks for a verified peer to an application here: packets pass its TTL security (RFC 5082, IP_MINTTL). */
  readonly neighbour?: boolean;
};

export function socketOptionsOf(
  { keepAliveMsMax, userTimeoutMsMax }: Omit<SocketOptions, "mark">,
  mark: number,
): SocketOptions {
  return { mark, keepAliveMsMax, userTimeoutMsMax };
}

/**
 * Forms a socket before bind(2) or connect(2); what a listening one accepts inherits it. A peer that is gone is
 * noticed after twice `keepAliveMsMax`. Throws SystemCallError.
 */
export function applyOptions(fd: number, of: SocketOptions, family: native.AddressFamily): void {
  if (of.mark !== null) native.setMark(fd, of.mark);
  // Without it recv(2) leaves the last urgent byte out: RFC 6093, 3.
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

/** Whether sockets here send that many probes anyway, which saves a call each. Read once. */
function hasUsualProbes(): boolean {
  usual ??= readProbes() === keepAliveProbes;
  return usual;
}

function readProbes(): number | null {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/tcp_keepalive_probes", "latin1"));
  } catch {
    return null; // Without /proc each socket is told.
  }
}

let usual: boolean | null = null;
/** Linux's own number: tcp_keepalive_probes. */
const keepAliveProbes = 9;
