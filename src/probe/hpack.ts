/** HTTP/2 header blocks: RFC 7541. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { decodeHuffman } from "./huffman.ts";
import { staticTable, type HeaderField } from "./static-table.ts";

/** Decodes the blocks of one direction of one connection, in order. */
export class HpackDecoder {
  readonly #sizeMax: number;
  #size: number;
  /** The newest entry first. */
  #table: readonly HeaderField[] = [];

  /** `sizeMax`: the decoder's SETTINGS_HEADER_TABLE_SIZE, in bytes. */
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
    this.#size = sizeMax;
  }

  /** The block's fields. Throws HTTP2_INVALID; then no further block can be decoded. */
  decode(block: Uint8Array): readonly HeaderField[] {
    const reader = new Reader(block);
    const headers: HeaderField[] = [];
    let bytes = 0;
    while (!reader.ended) {
      const header = this.#next(reader, headers.length > 0);
      if (header === null) continue;
      bytes += sizeOf(header);
      // One byte of the block can stand for a whole table entry.
      if (bytes > listBytesMax) throw invalid("too many fields");
      headers.push(header);
    }
    return headers;
  }

  /** Null for a table size update, which may only precede the first field. */
  #next(reader: Reader, begun: boolean): HeaderField | null {
    const kind = reader.peek();
    if (kind >= 0x80) return this.#entry(reader.integer(7));
    if (kind >= 0x40) return this.#insert(this.#literal(reader, 6));
    if (kind < 0x20) return this.#literal(reader, 4);
    const size = reader.integer(5);
    if (begun || size > this.#sizeMax)
      throw invalid("a table size update that is late or too large");
    this.#resize(size);
    return null;
  }

  #literal(reader: Reader, prefix: number): HeaderField {
    const index = reader.integer(prefix);
    const name = index === 0 ? reader.string() : this.#entry(index)[0];
    return [name, reader.string()];
  }

  #entry(index: number): HeaderField {
    const entry = staticTable[index - 1] ?? this.#table[index - 1 - staticTable.length];
    if (entry === undefined) throw invalid("an index without an entry");
    return entry;
  }

  #insert(header: HeaderField): HeaderField {
    this.#table = [header, ...this.#table];
    this.#resize(this.#size);
    return header;
  }

  #resize(size: number): void {
    this.#size = size;
    let bytes = 0;
    const over = this.#table.findIndex((entry) => (bytes += sizeOf(entry)) > size);
    if (over !== -1) this.#table = this.#table.slice(0, over);
  }
}

/** The size for the table's limit: RFC 7541, 4.1. */
function sizeOf([name, value]: HeaderField): number {
  return name.length + value.length + 32;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw invalid("a truncated block");
    return byte;
  }

  /** RFC 7541, 5.1. */
  integer(prefix: number): number {
    const mask = (1 << prefix) - 1;
    const first = this.#byte() & mask;
    if (first < mask) return first;
    let value = mask;
    for (let shift = 0; shift <= 14; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw invalid("a number that is too large");
  }

  /** RFC 7541, 5.2; one character per byte. */
  string(): string {
    const coded = this.peek() >= 0x80;
    const length = this.integer(7);
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw invalid("a truncated string");
    this.#at += length;
    return Buffer.from(coded ? decodeHuffman(bytes) : bytes).toString("latin1");
  }

  #byte(): number {
    const byte = this.peek();
    this.#at += 1;
    return byte;
  }
}

function invalid(what: string): ProxyError {
  return new ProxyError("HTTP2_INVALID", `header block: ${what}`);
}

const listBytesMax = 16_384;
