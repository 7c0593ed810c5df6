/** Requests about sockets: linux/inet_diag.h, linux/sock_diag.h. Pure. */
import type { Request } from "./socket.ts";
import { be16, concat, flag, u32, u8 } from "./wire.ts";

/** A connected TCP socket, by its own end and the other one; addresses in network order, both of one family. */
export type SocketName = {
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
};

/**
 * Destroys a socket: its owner gets ECONNABORTED, the other end RST. -ENOENT if it is gone, or bound to an interface
 * other than the given one. Needs CAP_NET_ADMIN.
 */
export function destroySocket(socket: SocketName, boundTo = noInterface): Request {
  const about = `destroy the socket of port ${socket.sourcePort}`;
  return { type: destroy, flags: flag.request | flag.ack, body: [nameOf(socket, boundTo)], about };
}

/** Returns the socket (`readInode`), or fails like `destroySocket`. Needs no privileges. */
export function findSocket(socket: SocketName, boundTo = noInterface): Request {
  const about = `look for the socket of port ${socket.sourcePort}`;
  return { type: find, flags: flag.request, body: [nameOf(socket, boundTo)], about };
}

/** The socket's inode from an answer to `findSocket`, 0 for one without a process; null for another answer. */
export function readInode(payload: Uint8Array): number | null {
  if (payload.length < inodeAt + 4) return null;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(inodeAt, true);
}

/** struct inet_diag_req_v2. */
function nameOf(
  { source, sourcePort, destination, destinationPort }: SocketName,
  boundTo: number,
): Uint8Array {
  const family = source.length === 4 ? 2 : 10;
  return concat(
    concat(u8(family), u8(protocolTcp), u8(0), u8(0), u32(everyState)),
    concat(be16(sourcePort), be16(destinationPort), padded(source), padded(destination)),
    concat(u32(boundTo), u32(noCookie), u32(noCookie)),
  );
}

/** __be32[4] for either family. */
function padded(address: Uint8Array): Uint8Array {
  return concat(address, new Uint8Array(16 - address.length));
}

const find = 20;
const destroy = 21;
/** struct inet_diag_msg: 4 bytes, the socket's name of 48, then expires, rqueue, wqueue, uid. */
const inodeAt = 68;
const protocolTcp = 6;
const everyState = 0xff_ff_ff_ff;
const noInterface = 0;
const noCookie = 0xff_ff_ff_ff;
