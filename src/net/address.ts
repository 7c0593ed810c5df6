/** Socket addresses: parsed once into a branded value, and the flat bytes that cross the boundary to the shim. */
import { ProxyError } from "../runtime/errors.ts";
import { addressSize, addressFamily } from "../native/native.ts";
import ipaddr from "ipaddr.js";
import { quote } from "../runtime/log/escape.ts";

/** The version of IP. */
export type Family = 4 | 6;

declare const brand: unique symbol;

/** An IP address, a port and, for IPv6 link-local, a zone. Made only in this file. */
export type SocketAddress = {
  readonly [brand]: "SocketAddress";
  readonly family: Family;
  /** Network order: 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly port: number;
  /** Interface index, 0 for none. */
  readonly scope: number;
};

/** Reads "10.0.0.1:80" and "[fd00::1]:80"; throws ADDRESS_INVALID. Octal and short forms are refused. */
export function parseSocketAddress(text: string): SocketAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const six = match?.[1];
  const host = six ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw invalid(text);
  return make(six === undefined ? 4 : 6, hostBytes(host, six !== undefined, text), port, 0);
}

/** "10.0.0.1:80" or "[fd00::1%2]:80". */
export function formatSocketAddress(address: SocketAddress): string {
  const host = formatIp(address.bytes);
  if (address.family === 4) return `${host}:${address.port}`;
  return `[${host}${address.scope === 0 ? "" : `%${address.scope}`}]:${address.port}`;
}

/** The bytes of "10.0.0.1" or "fd00::1" in network order; throws ADDRESS_INVALID. */
export function parseHost(text: string): Uint8Array {
  return hostBytes(text, text.includes(":"), text);
}

/** 4 or 16 bytes in network order: "10.0.0.1", "fd00::1". */
export function formatIp(bytes: Uint8Array): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** The layout of ffi/src/sockaddr.zig; host byte order, which is little-endian on all machines that Bun supports. */
export function encodeSocketAddress(address: SocketAddress): Uint8Array {
  const flat = new Uint8Array(addressSize);
  const view = new DataView(flat.buffer);
  view.setUint16(0, address.family === 4 ? addressFamily.inet : addressFamily.inet6, true);
  view.setUint16(2, address.port, true);
  view.setUint32(4, address.scope, true);
  flat.set(address.bytes, 8);
  return flat;
}

/** The inverse; an IPv4-mapped IPv6 address becomes an IPv4 address. Throws ADDRESS_INVALID. */
export function decodeSocketAddress(flat: Uint8Array): SocketAddress {
  if (flat.length !== addressSize) throw invalid(`${flat.length} bytes`);
  const view = new DataView(flat.buffer, flat.byteOffset, flat.byteLength);
  const port = view.getUint16(2, true);
  switch (view.getUint16(0, true)) {
    case addressFamily.inet:
      return make(4, flat.slice(8, 12), port, 0);
    case addressFamily.inet6:
      return isMapped(flat)
        ? make(4, flat.slice(20, 24), port, 0)
        : make(6, flat.slice(8, 24), port, view.getUint32(4, true));
    default:
      throw invalid("a family that is neither IPv4 nor IPv6");
  }
}

type Ip = Pick<SocketAddress, "bytes">;
type IpAndPort = Pick<SocketAddress, "bytes" | "port">;

export function isSameIp(a: Ip, b: Ip): boolean {
  return a.bytes.length === b.bytes.length && a.bytes.every((byte, at) => byte === b.bytes[at]);
}

export function isSameSocket(a: IpAndPort, b: IpAndPort): boolean {
  return a.port === b.port && isSameIp(a, b);
}

/** Removes duplicates, keeping the order. */
export function distinctSockets(addresses: readonly SocketAddress[]): readonly SocketAddress[] {
  return [...new Map(addresses.map((address) => [addressKey(address), address])).values()];
}

/** The same address with another port. */
export function portedAs(address: SocketAddress, port: number): SocketAddress {
  return make(address.family, address.bytes, port, address.scope);
}

/** A key for tables by address and port, fast to compute. */
export function addressKey({ bytes, port }: SocketAddress): string {
  return `${charactersOf(bytes, bytes.length)}${port}`;
}

/**
 * A key for tables by source: the IPv4 address, or the /64 of an IPv6 address, because one host may own all of it.
 */
export function sourceKey({ bytes }: Ip): string {
  return charactersOf(bytes, Math.min(bytes.length, sourceBytes));
}

/** A key for tables by host: the whole address. */
export function hostKey({ bytes }: Ip): string {
  return charactersOf(bytes, bytes.length);
}

/**
 * One character for each of the first `count` bytes, which are 4, 8 or 16. Spreading them costs several times as
 * much.
 */
function charactersOf(bytes: Uint8Array, count: number): string {
  let text = "";
  for (let at = 0; at < count; at += 4) {
    text += String.fromCharCode(
      bytes[at] ?? 0,
      bytes[at + 1] ?? 0,
      bytes[at + 2] ?? 0,
      bytes[at + 3] ?? 0,
    );
  }
  return text;
}

/** 127.0.0.0/8 and ::1: never reachable from outside, so never a legitimate original destination. */
export function isLoopback(address: SocketAddress): boolean {
  if (address.family === 4) return address.bytes[0] === 127;
  return address.bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}

/** RFC 4291, 2.5.1: interface identifiers are 64 bits. */
const sourceBytes = 8;

function hostBytes(host: string, six: boolean, text: string): Uint8Array {
  const valid = six ? ipaddr.IPv6.isValid(host) && !host.includes("%") : isFourPart(host);
  if (!valid) throw invalid(text);
  return Uint8Array.from(ipaddr.parse(host).toByteArray());
}

function isFourPart(host: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(host) && !/(^|\.)0\d/.test(host);
}

function isMapped(flat: Uint8Array): boolean {
  return flat.subarray(8, 20).every((byte, index) => byte === (index < 10 ? 0 : 255));
}

function make(of: 4 | 6, bytes: Uint8Array, port: number, scope: number): SocketAddress {
  return { family: of, bytes, port, scope } as SocketAddress;
}

function invalid(text: string): ProxyError {
  return new ProxyError("ADDRESS_INVALID", `not a socket address: ${quote(text)}`);
}
