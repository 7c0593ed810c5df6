/** Packet sockets, which see the frames of an interface: packet(7). */
import { check } from "../../native/errno.ts";
import { shim } from "../../native/native.ts";

/** A packet socket that is not bound yet. The caller closes it. */
export function openPacket(): number {
  return check("socket(AF_PACKET)", shim.tproxy_socket(afPacket, sockRaw, 0));
}

/** After this `fd` receives every frame that crosses the interface, in both directions. */
export function bindPacket(fd: number, interfaceIndex: number): void {
  check("bind(AF_PACKET)", shim.tproxy_packet_bind(fd, interfaceIndex));
}

/** Bytes of receive buffer: socket(7). The kernel doubles it and keeps it below rmem_max. */
export function setPacketBuffer(fd: number, bytes: number): void {
  check("setsockopt(SO_RCVBUF)", shim.tproxy_set_integer(fd, solSocket, soRcvbuf, bytes));
}

/**
 * Reads one frame into `buffer`; returns its true length, even if the buffer is smaller, or null if there is none.
 */
export function receiveFrame(fd: number, buffer: Uint8Array): number | null {
  const length = shim.tproxy_packet_receive(fd, buffer, buffer.length);
  return length === -eagain ? null : check("recvfrom(AF_PACKET)", length);
}

/** Frames seen and dropped since the last call: PACKET_STATISTICS. */
export function packetStatistics(fd: number): { readonly seen: number; readonly dropped: number } {
  const statistics = new Uint32Array(2);
  check("getsockopt(PACKET_STATISTICS)", shim.tproxy_packet_statistics(fd, statistics));
  return { seen: statistics[0] ?? 0, dropped: statistics[1] ?? 0 };
}

const afPacket = 17;
const sockRaw = 3;
const solSocket = 1;
const soRcvbuf = 8;
const eagain = 11;
