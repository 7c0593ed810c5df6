/** Ethernet frames for the tests of their parsers. */

export type FrameOptions = {
  /** 4 or 16 bytes each. */
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly ports?: readonly [number, number];
  readonly sequence?: number;
  readonly flags?: number;
  readonly payload?: Uint8Array | string;
};

/** TCP flags: RFC 9293, 3.1. */
export const flag = { fin: 1, syn: 2, rst: 4, push: 8, ack: 16 } as const;

/** An Ethernet frame with one TCP segment, without checksums, as veth delivers it. */
export function makeFrame(options: FrameOptions): Uint8Array {
  const payload = Buffer.from(options.payload ?? "");
  const tcp = Buffer.concat([makeTcp(options), payload]);
  const packet =
    options.source.length === 4 ? makeIpv4(options, tcp.length) : makeIpv6(options, tcp.length);
  const ethernet = Buffer.alloc(14);
  ethernet.writeUInt16BE(options.source.length === 4 ? 0x0800 : 0x86dd, 12);
  return new Uint8Array(Buffer.concat([ethernet, packet, tcp]));
}

function makeTcp({ ports = [40_000, 8080], sequence = 1, flags = flag.ack }: FrameOptions): Buffer {
  const tcp = Buffer.alloc(20);
  tcp.writeUInt16BE(ports[0], 0);
  tcp.writeUInt16BE(ports[1], 2);
  tcp.writeUInt32BE(sequence, 4);
  tcp[12] = 5 << 4;
  tcp[13] = flags;
  return tcp;
}

function makeIpv4({ source, destination }: FrameOptions, size: number): Buffer {
  const ip = Buffer.alloc(12);
  ip[0] = 0x45;
  ip.writeUInt16BE(20 + size, 2);
  ip[9] = 6;
  return Buffer.concat([ip, Buffer.from(source), Buffer.from(destination)]);
}

function makeIpv6({ source, destination }: FrameOptions, size: number): Buffer {
  const ip = Buffer.alloc(8);
  ip[0] = 0x60;
  ip.writeUInt16BE(size, 4);
  ip[6] = 6;
  return Buffer.concat([ip, Buffer.from(source), Buffer.from(destination)]);
}
