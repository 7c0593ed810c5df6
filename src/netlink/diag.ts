/** Requests about sockets: linux/inet_diag.h, linux/sock_diag.h. Pure. */
import type { Request } from "./socket.ts";
import { be16, concat, flag, u32, u8 } from "./wire.ts";

/** A connected TCP socket by its own end and the other one; addresses in network order, both of one family. */
export type SocketName = {
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
};

/** Ends a socket: its owner gets ECONNABORTED, the other end RST. -ENOENT if it is gone. Needs CAP_NET_ADMIN. */
export function destroySocket({
  source,
  sourcePort,
  destination,
  destinationPort,
}: SocketName): Request {
  const family = source.length === 4 ? 2 : 10;
  const body = concat(
    concat(u8(family), u8(protocolTcp), u8(0), u8(0), u32(everyState)),
    concat(be16(sourcePort), be16(destinationPort), padded(source), padded(destination)),
    concat(u32(anyInterface), u32(noCookie), u32(noCookie)),
  );
  const about = `destroy the socket of port ${sourcePort}`;
  return { type: destroy, flags: flag.request | flag.ack, body: [body], about };
}

/** __be32[4], whatever the family. */
function padded(address: Uint8Array): Uint8Array {
  return concat(address, new Uint8Array(16 - address.length));
}

const destroy = 21;
const protocolTcp = 6;
const everyState = 0xff_ff_ff_ff;
const anyInterface = 0;
const noCookie = 0xff_ff_ff_ff;
