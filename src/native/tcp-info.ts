/** The kernel's data on a TCP connection: tcp(7), TCP_INFO; struct tcp_info of linux/tcp.h. */
import { check } from "./errno.ts";
import { shim } from "./native.ts";

export type TcpInfo = {
  /** Our segments that the peer has not acknowledged. */
  readonly unackedSegments: number;
  /** Bytes that arrived in order. */
  readonly receivedBytes: number;
  /** Segments with data that arrived, in order or not. */
  readonly dataSegmentsIn: number;
  /** The kernel's estimate of the path MTU, IP header included. */
  readonly pathMtuBytes: number;
};

/** Throws SystemCallError if the descriptor is not a TCP socket. */
export function readTcpInfo(fd: number): TcpInfo {
  const bytes = new Uint8Array(structBytes);
  check("getsockopt(TCP_INFO)", shim.tproxy_tcp_info(fd, bytes, bytes.length));
  const view = new DataView(bytes.buffer);
  return {
    unackedSegments: view.getUint32(offset.unacked, true),
    receivedBytes: Number(view.getBigUint64(offset.bytesReceived, true)),
    dataSegmentsIn: view.getUint32(offset.dataSegmentsIn, true),
    pathMtuBytes: view.getUint32(offset.pathMtu, true),
  };
}

/** The end of the last field read; an older kernel writes less, and missing fields are 0. */
const structBytes = 160;
const offset = { unacked: 24, pathMtu: 60, bytesReceived: 128, dataSegmentsIn: 152 } as const;
