/** ELF files of a few hundred bytes for the linker's tests, valid or with a single defect. */

export type SmallSegment = {
  readonly type: number;
  readonly address: number;
  /** Its bytes in the file; without them, it is part of an earlier load segment. */
  readonly bytes?: Uint8Array;
  readonly fileSize?: number;
  readonly memorySize?: number;
  readonly alignment?: number;
};

export type SmallElf = {
  readonly entry?: number;
  readonly segments: readonly SmallSegment[];
  /** The symbol table that a linker writes. */
  readonly symbols?: Readonly<Record<string, number>>;
};

export function smallElf({ entry = 0, segments, symbols = {} }: SmallElf): Uint8Array {
  const head = 64 + segments.length * 56;
  const placed: Placed[] = [];
  let end = head;
  for (const segment of segments) {
    const offset = segment.bytes === undefined ? within(segment, placed) : placeAfter(end, segment);
    placed.push({ ...segment, offset });
    end = Math.max(end, offset + (segment.bytes?.length ?? 0));
  }
  const { bytes: tail, sections } = symbolSections(symbols, end);
  const bytes = new Uint8Array(end + tail.length);
  writeHeader(bytes, { entry, segments: segments.length, sections });
  for (const [at, one] of placed.entries()) {
    bytes.set(segmentHeader(one), 64 + at * 56);
    bytes.set(one.bytes ?? [], one.offset);
  }
  bytes.set(tail, end);
  return bytes;
}

type Placed = SmallSegment & { readonly offset: number };

/** mmap(2): offset and address must be equal modulo the page size. */
function placeAfter(end: number, { address }: SmallSegment): number {
  const rest = address % pageSize;
  return Math.ceil((end - rest) / pageSize) * pageSize + rest;
}

function within({ address }: SmallSegment, placed: readonly Placed[]): number {
  const load = placed.find(
    (one) => one.address <= address && address <= one.address + (one.bytes?.length ?? -1),
  );
  return load === undefined ? 0 : address - load.address + load.offset;
}

function segmentHeader(segment: Placed): Uint8Array {
  const fileSize = segment.fileSize ?? segment.bytes?.length ?? 0;
  const { type, address, offset, memorySize = fileSize, alignment = pageSize } = segment;
  const types = Buffer.alloc(8);
  types.writeUInt32LE(type, 0);
  types.writeUInt32LE(readWrite, 4);
  const numbers = [offset, address, address, fileSize, memorySize, alignment];
  return Buffer.concat([types, ...numbers.map((value) => u64(BigInt(value)))]);
}

function writeHeader(
  bytes: Uint8Array,
  counts: { readonly entry: number; readonly segments: number; readonly sections: number },
): void {
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(counts.entry), true);
  view.setBigUint64(32, 64n, true);
  view.setBigUint64(40, BigInt(counts.sections), true);
  for (const [at, value] of [64, 56, counts.segments, 64, 3, 0].entries())
    view.setUint16(52 + at * 2, value, true);
}

/** Three sections: none, the symbols, their names. */
function symbolSections(
  symbols: Readonly<Record<string, number>>,
  at: number,
): { readonly bytes: Uint8Array; readonly sections: number } {
  const names = padded(Buffer.from(`\0${Object.keys(symbols).join("\0")}\0`));
  const entries = Object.entries(symbols).map(([name, value]) => {
    const symbol = Buffer.alloc(24);
    symbol.writeUInt32LE(names.indexOf(`\0${name}\0`) + 1, 0);
    symbol.writeBigUInt64LE(BigInt(value), 8);
    return symbol;
  });
  const table = Buffer.concat([Buffer.alloc(24), ...entries]);
  const headers = [
    section(0, 0, 0, 0),
    section(2, at, table.length, 2),
    section(3, at + table.length, names.length, 0),
  ];
  const bytes = new Uint8Array(Buffer.concat([table, names, ...headers]));
  return { bytes, sections: at + table.length + names.length };
}

function section(type: number, offset: number, size: number, link: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(type, 4);
  bytes.writeBigUInt64LE(BigInt(offset), 24);
  bytes.writeBigUInt64LE(BigInt(size), 32);
  bytes.writeUInt32LE(link, 40);
  return bytes;
}

/** Pads to a multiple of eight. */
export function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

const pageSize = 0x1000;
const readWrite = 6;
