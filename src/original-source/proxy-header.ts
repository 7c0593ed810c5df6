/**
 * The first data from one proxy to the other, inside TLS: source and destination of the application's connection. The
 * format is the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt, 2.2). Pure.
 */
import { ProxyError } from "../runtime/errors.ts";
import { addressSize, addressFamily } from "../native/native.ts";
import { decodeSocketAddress, type SocketAddress } from "../net/address.ts";

/** Bytes that contain the header's length. */
export const fixedHeaderBytes = 16;
/** IPv6 addresses take 36 bytes; the rest is room for extensions of later versions. */
export const headerBytesMax = fixedHeaderBytes + 512;

export type ClientAddress = {
  /** The client application's getsockname(2). */
  readonly source: SocketAddress;
  /** No connection of the client's proxy comes from that port. */
  readonly distinctPort: boolean;
};

/** 28 or 52 bytes, and four more if `distinctPort`. Both addresses are of one family. */
export function encodeHeader(
  { source, distinctPort }: ClientAddress,
  destination: SocketAddress,
): Uint8Array {
  const { length } = source.bytes;
  const body = 2 * length + 4 + (distinctPort ? distinctPortField.length : 0);
  const bytes = new Uint8Array(fixedHeaderBytes + body);
  const written = view(bytes);
  bytes.set(signature);
  bytes[12] = versionAndProxy;
  bytes[13] = source.family === 4 ? tcpOverIpv4 : tcpOverIpv6;
  written.setUint16(14, body);
  bytes.set(source.bytes, fixedHeaderBytes);
  bytes.set(destination.bytes, fixedHeaderBytes + length);
  written.setUint16(fixedHeaderBytes + 2 * length, source.port);
  written.setUint16(fixedHeaderBytes + 2 * length + 2, destination.port);
  if (distinctPort) bytes.set(distinctPortField, bytes.length - distinctPortField.length);
  return bytes;
}

/** The whole header's length, as far as it is known: at least `fixedHeaderBytes`. Throws PROXY_HEADER_INVALID. */
export function headerLength(come: Uint8Array): number {
  const known = come.subarray(0, signature.length);
  if (known.some((byte, index) => byte !== signature[index])) throw invalid("no signature");
  if (come.length < fixedHeaderBytes) return fixedHeaderBytes;
  const length = fixedHeaderBytes + view(come).getUint16(14);
  if (length > headerBytesMax) throw invalid(`${length} bytes`);
  return length;
}

/**
 * `bytes`: as many as `headerLength` says. Null if the proxy connects for itself (LOCAL). Unknown fields are ignored.
 * Throws PROXY_HEADER_INVALID.
 */
export function decodeHeader(bytes: Uint8Array): ClientAddress | null {
  const [command, kind] = [bytes[12], bytes[13]];
  if (command === versionAndLocal) return null;
  if (command !== versionAndProxy) throw invalid(`command ${command}`);
  if (kind === tcpOverIpv4) return clientAddressOf(bytes, 4);
  if (kind === tcpOverIpv6) return clientAddressOf(bytes, 16);
  throw invalid(`family ${kind}`);
}

function clientAddressOf(bytes: Uint8Array, length: 4 | 16): ClientAddress {
  const source = sourceOf(bytes, length);
  return {
    source,
    distinctPort: hasField(bytes.subarray(fixedHeaderBytes + 2 * length + 4), distinctPortType),
  };
}

/** A type, two bytes of length, a value: 2.2 of the document. Throws PROXY_HEADER_INVALID. */
function hasField(fields: Uint8Array, type: number): boolean {
  let found = false;
  for (let at = 0; at < fields.length;) {
    if (at + 3 > fields.length) throw invalid("a field is truncated");
    found ||= fields[at] === type && fields[at + 3] === 1;
    at += 3 + view(fields).getUint16(at + 1);
    if (at > fields.length) throw invalid("a field is truncated");
  }
  return found;
}

function sourceOf(bytes: Uint8Array, length: 4 | 16): SocketAddress {
  if (bytes.length < fixedHeaderBytes + 2 * length + 4) throw invalid("too short");
  const flat = new Uint8Array(addressSize);
  const written = view(flat);
  written.setUint16(0, length === 4 ? addressFamily.inet : addressFamily.inet6, true);
  written.setUint16(2, view(bytes).getUint16(fixedHeaderBytes + 2 * length), true);
  flat.set(bytes.subarray(fixedHeaderBytes, fixedHeaderBytes + length), 8);
  return decodeSocketAddress(flat);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(what: string): ProxyError {
  return new ProxyError(
    "PROXY_HEADER_INVALID",
    `the peer's proxy does not begin as agreed: ${what}`,
  );
}

const signature = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** One of the types reserved for applications, 0xE0 to 0xEF; the value is 1. */
const distinctPortType = 0xe0;
const distinctPortField = Uint8Array.of(distinctPortType, 0, 1, 1);
const versionAndLocal = 0x20;
const versionAndProxy = 0x21;
const tcpOverIpv4 = 0x11;
const tcpOverIpv6 = 0x21;
