/** The TCP segment in an Ethernet frame, or nothing: any bytes may arrive from a network. Pure. */
import ipaddr from "ipaddr.js";

export type Segment = {
  /** "10.0.0.1:80" or "[fd00::1]:80". */
  readonly source: string;
  readonly destination: string;
  /** The sequence number of the payload's first byte; a SYN has the number before it. RFC 9293, 3.4. */
  readonly sequence: number;
  readonly syn: boolean;
  readonly ack: boolean;
  readonly payload: Uint8Array;
};

/** Null unless the frame is a whole, unfragmented TCP segment. Checksums are not verified: veth leaves them out. */
export function parseFrame(frame: Uint8Array): Segment | null {
  if (frame.length < ethernetSize) return null;
  const packet = frame.subarray(ethernetSize);
  switch (uint16(frame, 12)) {
    case etherTypeIpv4:
      return parseIpv4(packet);
    case etherTypeIpv6:
      return parseIpv6(packet);
    default:
      return null;
  }
}

/** RFC 791, 3.1. A fragment is not a whole segment; the total length excludes Ethernet's padding. */
function parseIpv4(packet: Uint8Array): Segment | null {
  if (packet.length < 20 || byte(packet, 0) >> 4 !== 4 || byte(packet, 9) !== protocolTcp)
    return null;
  const headerSize = (byte(packet, 0) & 0x0f) * 4;
  const size = uint16(packet, 2);
  const fragmented = (uint16(packet, 6) & 0x3fff) !== 0;
  if (fragmented || headerSize < 20 || size < headerSize || size > packet.length) return null;
  const tcp = packet.subarray(headerSize, size);
  return parseTcp(tcp, packet.subarray(12, 16), packet.subarray(16, 20));
}

/** RFC 8200, 3, without extension headers, which these hosts do not use. */
function parseIpv6(packet: Uint8Array): Segment | null {
  if (packet.length < 40 || byte(packet, 0) >> 4 !== 6 || byte(packet, 6) !== protocolTcp)
    return null;
  const size = uint16(packet, 4);
  if (40 + size > packet.length) return null;
  const tcp = packet.subarray(40, 40 + size);
  return parseTcp(tcp, packet.subarray(8, 24), packet.subarray(24, 40));
}

/** RFC 9293, 3.1. */
function parseTcp(tcp: Uint8Array, source: Uint8Array, destination: Uint8Array): Segment | null {
  if (tcp.length < 20) return null;
  const headerSize = (byte(tcp, 12) >> 4) * 4;
  if (headerSize < 20 || headerSize > tcp.length) return null;
  const flags = byte(tcp, 13);
  const syn = (flags & flagSyn) !== 0;
  const sequence = uint16(tcp, 4) * 0x1_0000 + uint16(tcp, 6);
  return {
    source: endpoint(source, uint16(tcp, 0)),
    destination: endpoint(destination, uint16(tcp, 2)),
    sequence: syn ? (sequence + 1) % 0x1_0000_0000 : sequence,
    syn,
    ack: (flags & flagAck) !== 0,
    payload: tcp.subarray(headerSize),
  };
}

function endpoint(address: Uint8Array, port: number): string {
  const host = ipaddr.fromByteArray([...address]).toString();
  return address.length === 4 ? `${host}:${port}` : `[${host}]:${port}`;
}

function byte(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return byte(bytes, offset) * 256 + byte(bytes, offset + 1);
}

const ethernetSize = 14;
const etherTypeIpv4 = 0x08_00;
const etherTypeIpv6 = 0x86_dd;
const protocolTcp = 6;
const flagSyn = 0x02;
const flagAck = 0x10;
