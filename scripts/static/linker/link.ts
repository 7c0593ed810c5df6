/** Links Bun's executable and the runtime into one static file: every import resolved, no loader needed. Pure. */
import { Elf, header, LinkError, segmentSize, segmentType, type Segment } from "./elf.ts";
import { relocationType, type Imports } from "./imports.ts";
import { threadLocalExtra, type ThreadLocal } from "./stub.ts";

export type Parts = {
  readonly bun: Elf;
  readonly runtime: Elf;
  readonly imports: Imports;
  readonly threadLocal: ThreadLocal;
};

/** Throws LinkError naming the symbol or relocation that does not fit. */
export function link(parts: Parts): Uint8Array {
  const { bun, runtime } = parts;
  assertSelfContained(runtime);
  const loaded = Math.max(...bun.loads.map(({ offset, fileSize }) => offset + fileSize));
  const loads = placedAfter(loaded, runtime);
  const end = Math.max(...loads.map(({ to, segment }) => to + segment.fileSize));
  const file = new Uint8Array(end);
  // The rest is symbols and section headers, which are not read at run time.
  file.set(bun.bytes.subarray(0, loaded));
  for (const { segment, to } of loads) {
    file.set(runtime.bytes.subarray(segment.offset, segment.offset + segment.fileSize), to);
    // The runtime's own header describes unloaded parts, which depend on the place of the build.
    if (segment.offset === 0) file.fill(0, to, to + headerSize);
  }
  const view = new DataView(file.buffer);
  relocate(view, parts);
  writeSegments(view, parts, loads);
  for (const at of [header.sectionCount, header.sectionNames]) view.setUint16(at, 0, true);
  view.setBigUint64(header.sectionTable, 0n, true);
  view.setBigUint64(header.entry, BigInt(addressOf(runtime.symbols(), "link_start")), true);
  return file;
}

function assertSelfContained(runtime: Elf): void {
  const { interpreter, threadLocal } = segmentType;
  if (runtime.find(interpreter) !== null) throw new LinkError("the runtime wants a loader");
  if ((runtime.find(threadLocal)?.memorySize ?? 0) > 0)
    throw new LinkError("the runtime has thread-local variables of its own");
}

type Placed = { readonly segment: Segment; readonly to: number };

/** Offset and address of a segment must be equal modulo the page size: mmap(2). */
function placedAfter(length: number, runtime: Elf): readonly Placed[] {
  let next = length;
  return runtime.loads.map((segment) => {
    const rest = segment.address % pageSize;
    const to = Math.ceil((next - rest) / pageSize) * pageSize + rest;
    next = to + segment.fileSize;
    return { segment, to };
  });
}

function relocate(view: DataView, { bun, runtime, imports, threadLocal }: Parts): void {
  const addresses = addressesOf(runtime, imports);
  for (const { type, address, symbol, addend } of imports.relocations) {
    if (type === relocationType.copy) continue;
    const at = bun.offsetOf(address);
    const value =
      type === relocationType.threadOffset
        ? threadLocal.offsets.get(symbol.name)
        : addresses.get(symbol.name);
    if (value === undefined) throw new LinkError(`${symbol.name} is not resolved`);
    const added = type === relocationType.address || type === relocationType.threadOffset;
    view.setBigInt64(at, BigInt(value + (added ? addend : 0)), true);
  }
}

function addressesOf(runtime: Elf, imports: Imports): ReadonlyMap<string, number> {
  const table = addressOf(runtime.symbols(), "link_imports");
  return new Map([
    ...imports.absent.map((name) => [name, 0] as const),
    ...imports.needed.map((name, at) => [name, runtime.u64At(table + at * 8)] as const),
    ...[...imports.copied, ...imports.shared].map(({ name, address }) => [name, address] as const),
  ]);
}

function addressOf(symbols: ReadonlyMap<string, number>, name: string): number {
  const address = symbols.get(name);
  if (address === undefined) throw new LinkError(`the runtime has no symbol ${name}`);
  return address;
}

/**
 * Replaces Bun's own headers: those for the loader make room for the runtime's. Loads are sorted by address: elf(5).
 */
function writeSegments(
  view: DataView,
  { bun, threadLocal }: Parts,
  placed: readonly Placed[],
): void {
  const { address } = threadLocal.segment;
  const kept = bun.segments
    .filter(({ type }) => !forLoader.has(type))
    .map((one) => (one.address === address ? grown(one) : one));
  const loads = [
    ...kept.filter(({ type }) => type === segmentType.load),
    ...placed.map(({ segment, to }) => ({ ...segment, offset: to })),
  ].toSorted((a, b) => a.address - b.address);
  assertApart(loads);
  const all = [...loads, ...kept.filter(({ type }) => type !== segmentType.load)];
  if (all.length > bun.segments.length)
    throw new LinkError(`${all.length} segments do not fit in the place of ${bun.segments.length}`);
  for (const [at, segment] of all.entries())
    writeSegment(view, bun.segmentTable + at * segmentSize, segment);
  view.setUint16(header.segmentCount, all.length, true);
}

function assertApart(loads: readonly Segment[]): void {
  for (const [at, { address }] of loads.entries()) {
    const before = loads[at - 1];
    if (before !== undefined && before.address + before.memorySize > address)
      throw new LinkError(`segments overlap at 0x${address.toString(16)}`);
  }
}

/**
 * Extends the thread-local segment, and the load that begins with it: both begin earlier, on the same page, where the
 * file has other bytes. The initial value does not matter: std::call_once writes before it reads.
 */
function grown(segment: Segment): Segment {
  if (segment.address % pageSize < threadLocalExtra)
    throw new LinkError("the thread-local segment begins a page: nothing fits before it");

  return {
    ...segment,
    offset: segment.offset - threadLocalExtra,
    address: segment.address - threadLocalExtra,
    fileSize: segment.fileSize + threadLocalExtra,
    memorySize: segment.memorySize + threadLocalExtra,
  };
}

function writeSegment(view: DataView, at: number, segment: Segment): void {
  view.setUint32(at, segment.type, true);
  view.setUint32(at + 4, segment.flags, true);
  const { offset, address, fileSize, memorySize, alignment } = segment;
  for (const [index, value] of [
    offset,
    address,
    address,
    fileSize,
    memorySize,
    alignment,
  ].entries())
    view.setBigUint64(at + 8 + index * 8, BigInt(value), true);
}

const forLoader = new Set<number>([
  segmentType.dynamic,
  segmentType.interpreter,
  segmentType.note,
  segmentType.table,
]);
const headerSize = 64;
const pageSize = 0x1000;
