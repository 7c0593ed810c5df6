/**
 * What a proxy tells the other one first, inside TLS: where the application's connection came from and where it was
 * going. The layout is that of the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt, 2.2). Pure.
 */
import { ProxyError } from "../runtime/errors.ts";
import { addressSize, family } from "../native/native.ts";
import { decodeSocketAddress, type SocketAddress } from "../net/address.ts";

/** Bytes that tell the preamble's length. */
export const headBytes = 16;
/** Addresses of IPv6 have 36 bytes; the rest is room for what later versions may add. */
export const preambleBytesMax = headBytes + 512;

export type Told = {
  /** The client application's getsockname(2). */
  readonly source: SocketAddress;
  /** No connection of the client's proxy comes from that port. */
  readonly apart: boolean;
};

/** 28 or 52 bytes, and four more if `apart`. Both addresses are of one family. */
export function encodePreamble({ source, apart }: Told, destination: SocketAddress): Uint8Array {
  const { length } = source.bytes;
  const body = 2 * length + 4 + (apart ? apartField.length : 0);
  const bytes = new Uint8Array(headBytes + body);
  const written = view(bytes);
  bytes.set(signature);
  bytes[12] = versionAndProxy;
  bytes[13] = source.family === 4 ? tcpOverIpv4 : tcpOverIpv6;
  written.setUint16(14, body);
  bytes.set(source.bytes, headBytes);
  bytes.set(destination.bytes, headBytes + length);
  written.setUint16(headBytes + 2 * length, source.port);
  written.setUint16(headBytes + 2 * length + 2, destination.port);
  if (apart) bytes.set(apartField, bytes.length - apartField.length);
  return bytes;
}

/** The whole preamble's length, as far as is known: at least `headBytes`. Throws PREAMBLE_INVALID. */
export function preambleLength(come: Uint8Array): number {
  const known = come.subarray(0, signature.length);
  if (known.some((byte, index) => byte !== signature[index])) throw invalid("no signature");
  if (come.length < headBytes) return headBytes;
  const length = headBytes + view(come).getUint16(14);
  if (length > preambleBytesMax) throw invalid(`${length} bytes`);
  return length;
}

/**
 * `bytes`: as many as `preambleLength` says. Null if the proxy speaks for itself (LOCAL). Fields that are not known are
 * passed over. Throws PREAMBLE_INVALID.
 */
export function decodePreamble(bytes: Uint8Array): Told | null {
  const [command, kind] = [bytes[12], bytes[13]];
  if (command === versionAndLocal) return null;
  if (command !== versionAndProxy) throw invalid(`command ${command}`);
  if (kind === tcpOverIpv4) return toldOf(bytes, 4);
  if (kind === tcpOverIpv6) return toldOf(bytes, 16);
  throw invalid(`family ${kind}`);
}

function toldOf(bytes: Uint8Array, length: 4 | 16): Told {
  const source = sourceOf(bytes, length);
  return { source, apart: hasField(bytes.subarray(headBytes + 2 * length + 4), apartType) };
}

/** A type, two bytes of length, a value: 2.2 of the document. Throws PREAMBLE_INVALID. */
function hasField(fields: Uint8Array, type: number): boolean {
  let found = false;
  for (let at = 0; at < fields.length;) {
    if (at + 3 > fields.length) throw invalid("a field is cut");
    found ||= fields[at] === type && fields[at + 3] === 1;
    at += 3 + view(fields).getUint16(at + 1);
    if (at > fields.length) throw invalid("a field is cut");
  }
  return found;
}

function sourceOf(bytes: Uint8Array, length: 4 | 16): SocketAddress {
  if (bytes.length < headBytes + 2 * length + 4) throw invalid("too short");
  const flat = new Uint8Array(addressSize);
  const written = view(flat);
  written.setUint16(0, length === 4 ? family.inet : family.inet6, true);
  written.setUint16(2, view(bytes).getUint16(headBytes + 2 * length), true);
  flat.set(bytes.subarray(headBytes, headBytes + length), 8);
  return decodeSocketAddress(flat);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(what: string): ProxyError {
  return new ProxyError("PREAMBLE_INVALID", `the peer's proxy does not begin as agreed: ${what}`);
}

const signature = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** Of the types that are left to applications, 0xE0 to 0xEF; the value is 1. */
const apartType = 0xe0;
const apartField = Uint8Array.of(apartType, 0, 1, 1);
const versionAndLocal = 0x20;
const versionAndProxy = 0x21;
const tcpOverIpv4 = 0x11;
const tcpOverIpv6 = 0x21;
