/**
 * Detects whether a connection's first bytes are a ClientHello of one of our own proxies. RFC 8446, 4.1.2 and 5.1.
 * Pure.
 */

import { ourProtocol } from "../net/protocols.ts";

/** `incomplete`: more bytes are needed to decide. */
export type FirstBytesKind = "ours" | "other" | "incomplete";

export function classify(bytes: Uint8Array): FirstBytesKind {
  const message = handshakeOf(bytes);
  if (message === null) return "other";
  const more = message.complete ? "other" : "incomplete";
  const reader = new Reader(message.bytes);
  const kind = reader.u8();
  if (kind !== null && kind !== clientHello) return "other";
  const size = reader.u24();
  if (size === null) return more;
  if (size > helloBytesMax) return "other";
  if (message.bytes.length < headerBytes + size) return more;
  return offersOurs(message.bytes.subarray(headerBytes, headerBytes + size)) ? "ours" : "other";
}

type Handshake = { readonly bytes: Uint8Array; readonly complete: boolean };

/**
 * The handshake message in the records, possibly truncated; null if these are no handshake records. `complete`: the
 * next data is no handshake record, so nothing more belongs to the message.
 */
function handshakeOf(bytes: Uint8Array): Handshake | null {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; at < bytes.length && length < messageLength(parts[0]);) {
    if (parts.length > recordsMax) return null;
    const record = bytes.subarray(at, at + recordHeaderBytes);
    if (!looksLikeRecord(record)) return parts.length === 0 ? null : joined(parts, true);
    if (record.length < recordHeaderBytes) break;
    const size = ((record[3] ?? 0) << 8) | (record[4] ?? 0);
    if (size === 0 || size > recordBytesMax) return null;
    const start = at + recordHeaderBytes;
    const part = bytes.subarray(start, start + size);
    parts.push(part);
    length += part.length;
    at = start + size;
  }
  return joined(parts, false);
}

/** The length of the message that begins a record, if its header is in one piece; otherwise it is unknown yet. */
function messageLength(first: Uint8Array | undefined): number {
  const reader = new Reader((first ?? nothing).subarray(1, headerBytes));
  const size = reader.u24();
  return size === null ? Infinity : headerBytes + size;
}

/** As far as it has arrived: a handshake record of version 3.x. */
function looksLikeRecord(header: Uint8Array): boolean {
  const [type, major] = header;
  return type === handshakeRecord && (major === undefined || major === 3);
}

function joined(parts: readonly Uint8Array[], complete: boolean): Handshake {
  return { bytes: new Uint8Array(Buffer.concat(parts)), complete };
}

/** Walks a whole ClientHello to its ALPN extension; a malformed one offers nothing. */
function offersOurs(hello: Uint8Array): boolean {
  const reader = new Reader(hello);
  reader.skip(versionBytes + randomBytes);
  reader.block(1); // session id
  reader.block(2); // cipher suites
  reader.block(1); // compression methods
  const extensions = reader.block(2);
  if (extensions === null) return false;
  const list = new Reader(extensions);
  for (;;) {
    const type = list.u16();
    const body = list.block(2);
    if (type === null || body === null) return false;
    if (type === alpnExtension) return namesOf(body).includes(ourProtocol);
  }
}

function namesOf(extension: Uint8Array): readonly string[] {
  const list = new Reader(extension).block(2);
  const names: string[] = [];
  if (list === null) return names;
  const reader = new Reader(list);
  for (;;) {
    const name = reader.block(1);
    if (name === null) return names;
    names.push(Buffer.from(name).toString("latin1"));
  }
}

/** Reads from the front; returns null from the first missing byte on. */
class Reader {
  #rest: Uint8Array | null;

  constructor(bytes: Uint8Array) {
    this.#rest = bytes;
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  u8(): number | null {
    return this.#number(1);
  }

  u16(): number | null {
    return this.#number(2);
  }

  u24(): number | null {
    return this.#number(3);
  }

  /** Bytes preceded by their length, which has this many bytes. */
  block(lengthBytes: 1 | 2): Uint8Array | null {
    const length = this.#number(lengthBytes);
    return length === null ? null : this.#take(length);
  }

  #number(bytes: number): number | null {
    const taken = this.#take(bytes);
    return taken === null ? null : taken.reduce((value, byte) => value * 256 + byte, 0);
  }

  #take(bytes: number): Uint8Array | null {
    const rest = this.#rest;
    const enough = rest !== null && rest.length >= bytes;
    this.#rest = enough ? rest.subarray(bytes) : null;
    return enough ? rest.subarray(0, bytes) : null;
  }
}

const helloBytesMax = 16_384;
/**
 * No client splits a ClientHello into more records; parsing many small records again and again would be expensive.
 */
const recordsMax = 64;
const recordBytesMax = 16_384;
const recordHeaderBytes = 5;
const headerBytes = 4;
const handshakeRecord = 22;
const clientHello = 1;
const versionBytes = 2;
const randomBytes = 32;
const alpnExtension = 16;
const nothing = new Uint8Array(0);
/** The longest ClientHello in the largest number of records: no more of a connection is inspected. */
export const peekBytesMax = headerBytes + helloBytesMax + (recordsMax + 1) * recordHeaderBytes;
