/** Explains in the log why a TLS handshake hangs on an established TCP connection. Pure. */
import type { TcpInfo } from "../native/tcp-info.ts";
import { formatIp, type SocketAddress } from "./address.ts";

/** A handshake that has timed out, with the kernel's data on its connection at that moment. */
export type Hung = {
  readonly info: TcpInfo;
  readonly peer: SocketAddress;
  /** Whether we accepted the connection or made it. */
  readonly role: "server" | "client";
};

/** The text after "TLS handshake timed out". If packets of full size may be lost, it says how to check that. */
export function describeHang({ info, peer, role }: Hung): string {
  const { unackedSegments, receivedBytes, dataSegmentsIn, pathMtuBytes } = info;
  const look = lookAtMtu(peer, pathMtuBytes);
  if (unackedSegments > 0) {
    const sent = role === "client" ? "our ClientHello" : "our answer to the ClientHello";
    return `TCP connected, but the peer does not acknowledge all packets of ${sent}. ${largeLost}${look}`;
  }
  if (dataSegmentsIn === 0 && receivedBytes === 0) {
    if (role === "server") return "the client connected and sent nothing";
    return `the peer acknowledged our ClientHello and sent nothing (does it speak TLS?). If it does, ${answerLost}${look}`;
  }
  const part = role === "client" ? "the peer's answer" : "the client's handshake";
  return `TCP connected, and only part of ${part} came. ${largeLost}${look}`;
}

/** For a handshake that the peer reset after `ms` without an answer: the peer may have timed out. */
export function describeLateReset(peer: SocketAddress, ms: number): string {
  const seconds = (ms / 1000).toFixed(1);
  return ` ${seconds} s into the TLS handshake. ${largeLost}${lookAtMtu(peer, 0)}`;
}

/** An earlier reset by the peer does not indicate a hang. */
export const lateResetMsMin = 1000;

/** `mtuBytes` 0: unknown. */
function lookAtMtu(peer: SocketAddress, mtuBytes: number): string {
  const headers = peer.family === 4 ? ip4Headers : ip6Headers;
  const size = (mtuBytes === 0 ? ethernetMtuBytes : mtuBytes) - headers;
  const host = formatIp(peer.bytes);
  return ` Check with "ping -M do -s ${size} ${host}" and "tcpdump -ni any tcp and host ${host}".`;
}

const largeLost =
  "Packets of full size may be lost on the way (MTU): a ClientHello with X25519MLKEM768 is longer than 1,400 bytes and often takes two packets, certificates take more.";
const answerLost =
  "its answer may be lost on the way, because certificates take packets of full size (MTU).";
const ethernetMtuBytes = 1500;
/** Size of the IP and ICMP headers: ping(8) counts neither in -s. */
const ip4Headers = 28;
const ip6Headers = 48;
