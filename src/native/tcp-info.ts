/** What the kernel knows of a TCP connection: tcp(7), TCP_INFO; struct tcp_info of linux/tcp.h. */
import { check } from "./errno.ts";
import { shim } from "./native.ts";

export type TcpInfo = {
  /** Segments of ours that were sent and that the peer has not acknowledged. */
  readonly unackedSegments: number;
  /** Bytes that came in order. */
  readonly receivedBytes: number;
  /** Segments with data that came, in order or not. */
  readonly dataSegmentsIn: number;
  /** The largest packet that the kernel believes to pass, IP header included. */
  readonly pathMtuBytes: number;
};

/** Throws SystemCallError for a descriptor that is no TCP socket. */
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

/** The last field that is read ends there; an older kernel writes less, and what it leaves out is 0. */
const structBytes = 160;
const offset = { unacked: 24, pathMtu: 60, bytesReceived: 128, dataSegmentsIn: 152 } as const;
