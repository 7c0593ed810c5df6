/** Netlink's framing: messages of attributes, all aligned to four bytes. netlink(7). Pure. */
import { ProxyError } from "../runtime/errors.ts";

export type MessageHeader = {
  readonly type: number;
  /** A combination of NLM_F_…: `flag`. */
  readonly flags: number;
};

export type Message = MessageHeader & {
  readonly sequence: number;
  /** The port of the socket whose request caused this; 0 for the kernel. */
  readonly port: number;
  readonly payload: Uint8Array;
};

/** NLM_F_…: linux/netlink.h. */
export const flag = {
  request: 0x1,
  ack: 0x4,
  replace: 0x100,
  excl: 0x200,
  create: 0x400,
  append: 0x800,
  dump: 0x300,
} as const;

/** Message types common to all families. */
export const control = { error: 2, done: 3 } as const;

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

/** Host order, which is little-endian on all machines that Bun supports. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** Network order. */
export function be16(value: number): Uint8Array {
  return u16(value).toReversed();
}

export function be32(value: number): Uint8Array {
  return u32(value).toReversed();
}

/** Zero-terminated. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** struct nlattr and its payload, padded. Throws NETLINK_INVALID above 65,535 bytes. */
export function attribute(type: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const body = concat(...payload);
  const length = 4 + body.length;
  if (length > 0xff_ff) throw new ProxyError("NETLINK_INVALID", `attribute of ${length} bytes`);
  return concat(u16(length), u16(type), body, new Uint8Array(align(length) - length));
}

/** An attribute that holds attributes. */
export function nested(type: number, ...children: readonly Uint8Array[]): Uint8Array {
  return attribute(type | nestedFlag, ...children);
}

/** struct nlmsghdr and its payload; the kernel fills in the port. */
export function message(
  header: MessageHeader,
  sequence: number,
  ...payload: readonly Uint8Array[]
): Uint8Array {
  const body = concat(...payload);
  const length = 16 + body.length;
  return concat(
    u32(length),
    u16(header.type),
    u16(header.flags),
    u32(sequence),
    u32(0),
    body,
    new Uint8Array(align(length) - length),
  );
}

/** The messages of one datagram. Throws NETLINK_INVALID if they do not fit. */
export function readMessages(bytes: Uint8Array): readonly Message[] {
  const messages: Message[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    const length = bytes.length - at < 16 ? 0 : view.getUint32(at, true);
    if (length < 16 || at + length > bytes.length) throw cut("message");
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      port: view.getUint32(at + 12, true),
      payload: bytes.subarray(at + 16, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Type and payload of each attribute, in order; flags are removed from the type. Throws NETLINK_INVALID. */
export function readAttributes(bytes: Uint8Array): readonly (readonly [number, Uint8Array])[] {
  const attributes: (readonly [number, Uint8Array])[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    const length = bytes.length - at < 4 ? 0 : view.getUint16(at, true);
    if (length < 4 || at + length > bytes.length) throw cut("attribute");
    const type = view.getUint16(at + 2, true) & typeMask;
    attributes.push([type, bytes.subarray(at + 4, at + length)]);
    at += align(length);
  }
  return attributes;
}

/** The first attribute of a type, or undefined. */
export function find(bytes: Uint8Array, type: number): Uint8Array | undefined {
  return readAttributes(bytes).find(([found]) => found === type)?.[1];
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function cut(what: string): ProxyError {
  return new ProxyError("NETLINK_INVALID", `a netlink ${what} does not fit`);
}

/** NLA_F_NESTED, and the type without it and NLA_F_NET_BYTEORDER. */
const nestedFlag = 0x8000;
const typeMask = 0x3fff;
