/**
 * ELF files for x86-64 Linux, as far as linking needs them: System V ABI, chapters 4 and 5, and its AMD64 supplement.
 * Every invalid form is a LinkError that names it. Pure.
 */

export class LinkError extends Error {
  override readonly name = "LinkError";
}

export type Segment = {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
};

export type ImportedSymbol = {
  readonly name: string;
  /** May be missing at run time: its address is then 0. */
  readonly weak: boolean;
  readonly size: number;
};

export type Relocation = {
  /** The address of the place to change. */
  readonly address: number;
  readonly type: number;
  readonly symbol: ImportedSymbol;
  readonly addend: number;
};

export class Elf {
  readonly bytes: Uint8Array;
  readonly segments: readonly Segment[];
  readonly #view: DataView;
  readonly #name: string;

  /** `name` is for messages. Throws LinkError unless it is an executable with fixed addresses for x86-64. */
  constructor(bytes: Uint8Array, name: string) {
    this.bytes = bytes;
    this.#name = name;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#assertHeader();
    this.segments = Array.from({ length: this.#u16(header.segmentCount) }, (_, at) =>
      this.#segment(this.segmentTable + at * segmentSize),
    );
    for (const { offset, fileSize } of this.loads)
      if (offset + fileSize > bytes.length)
        throw this.#fault(`it ends before offset ${offset + fileSize}, which is to be loaded`);
  }

  get entry(): number {
    return this.#u64(header.entry);
  }

  /** The file offset of the program headers. */
  get segmentTable(): number {
    return this.#u64(header.segmentTable);
  }

  get loads(): readonly Segment[] {
    return this.segments.filter(({ type }) => type === segmentType.load);
  }

  /** The only segment of its type, or null. */
  find(type: number): Segment | null {
    const [first, second] = this.segments.filter((one) => one.type === type);
    if (second !== undefined) throw this.#fault(`two segments of type 0x${type.toString(16)}`);
    return first ?? null;
  }

  /** The file offset of an address. Throws LinkError if no part of the file is loaded there. */
  offsetOf(address: number): number {
    const segment = this.loads.find(
      (one) => address >= one.address && address < one.address + one.fileSize,
    );
    if (segment === undefined) throw this.#fault(`nothing of it is at 0x${address.toString(16)}`);
    return address - segment.address + segment.offset;
  }

  u64At(address: number): number {
    return this.#u64(this.offsetOf(address));
  }

  /** The dynamic section's relocations in file order. Throws LinkError for tables in an unsupported form. */
  relocations(): readonly Relocation[] {
    const dynamic = this.#dynamic();
    for (const [tag, name] of unread)
      if (dynamic.has(tag)) throw this.#fault(`a dynamic section with ${name}, which is not read`);
    return [
      ...this.#relocationTable(dynamic.get(tags.rela), dynamic.get(tags.relaSize), dynamic),
      ...this.#relocationTable(
        dynamic.get(tags.jumpRelocations),
        dynamic.get(tags.jumpSize),
        dynamic,
      ),
    ];
  }

  /** Addresses of the functions that run before `main`. */
  initializers(): readonly number[] {
    const dynamic = this.#dynamic();
    const table = dynamic.get(tags.initializers);
    if (table === undefined) return [];
    const count = this.#count(dynamic.get(tags.initializersSize) ?? 0, 8);
    const all = Array.from({ length: count }, (_, at) => this.u64At(table + at * 8));
    return all.filter((address) => address !== 0 && address !== noFunction);
  }

  /** Addresses by name, from the symbol table that a linker writes. */
  symbols(): ReadonlyMap<string, number> {
    const found = new Map<string, number>();
    const sections = this.#u64(header.sectionTable);
    for (let at = 0; at < this.#u16(header.sectionCount); at += 1) {
      const section = sections + at * sectionSize;
      if (this.#u32(section + 4) !== symbolSection) continue;
      const texts = this.#u64(sections + this.#u32(section + 40) * sectionSize + 24);
      const [start, size] = [this.#u64(section + 24), this.#u64(section + 32)];
      for (let one = start; one < start + size; one += symbolSize) {
        const name = this.#text(texts + this.#u32(one));
        if (name !== "") found.set(name, this.#u64(one + 8));
      }
    }
    return found;
  }

  #assertHeader(): void {
    const is = (at: number, ...wanted: readonly number[]): boolean =>
      wanted.every((byte, index) => this.bytes[at + index] === byte);
    if (!is(0, 0x7f, 0x45, 0x4c, 0x46)) throw this.#fault("no ELF file");
    if (!is(4, 2, 1)) throw this.#fault("not of 64 bits, least significant byte first");
    if (this.#u16(header.machine) !== machineX64) throw this.#fault("not for x86-64");
    if (this.#u16(header.type) !== typeExecutable)
      throw this.#fault("not an executable of fixed addresses (ET_EXEC)");
  }

  #segment(at: number): Segment {
    return {
      type: this.#u32(at),
      flags: this.#u32(at + 4),
      offset: this.#u64(at + 8),
      address: this.#u64(at + 16),
      fileSize: this.#u64(at + 32),
      memorySize: this.#u64(at + 40),
      alignment: this.#u64(at + 48),
    };
  }

  /** Values by tag; the first of each. */
  #dynamic(): ReadonlyMap<number, number> {
    const segment = this.find(segmentType.dynamic);
    const found = new Map<number, number>();
    if (segment === null) return found;
    for (let at = segment.offset; at < segment.offset + segment.fileSize; at += 16) {
      const tag = this.#u64(at);
      if (tag === 0) break;
      if (!found.has(tag)) found.set(tag, this.#u64(at + 8));
    }
    return found;
  }

  #relocationTable(
    table: number | undefined,
    size: number | undefined,
    dynamic: ReadonlyMap<number, number>,
  ): readonly Relocation[] {
    if (table === undefined) return [];
    const symbols = dynamic.get(tags.symbols);
    const texts = dynamic.get(tags.strings);
    if (size === undefined || symbols === undefined || texts === undefined)
      throw this.#fault("relocations without symbols or size");
    const start = this.offsetOf(table);
    return Array.from({ length: this.#count(size, relocationSize) }, (_, at) => {
      const one = start + at * relocationSize;
      const symbol = this.#symbol(symbols + this.#u32(one + 12) * symbolSize, texts);
      const addend = Number(this.#view.getBigInt64(one + 16, true));
      return { address: this.#u64(one), type: this.#u32(one + 8), symbol, addend };
    });
  }

  /** The number of entries in a table. */
  #count(size: number, entrySize: number): number {
    if (size > this.bytes.length) throw this.#fault(`a table of ${size} bytes`);
    return size / entrySize;
  }

  #symbol(address: number, texts: number): ImportedSymbol {
    const at = this.offsetOf(address);
    return {
      name: this.#text(this.offsetOf(texts + this.#u32(at))),
      weak: (this.bytes[at + 4] ?? 0) >> 4 === weakBinding,
      size: this.#u64(at + 16),
    };
  }

  #text(at: number): string {
    const end = this.bytes.indexOf(0, at);
    if (end === -1) throw this.#fault("a name without an end");
    return Buffer.from(this.bytes.subarray(at, end)).toString("latin1");
  }

  #u16(at: number): number {
    return this.#read(at, 2, () => this.#view.getUint16(at, true));
  }

  #u32(at: number): number {
    return this.#read(at, 4, () => this.#view.getUint32(at, true));
  }

  #u64(at: number): number {
    return this.#read(at, 8, () => Number(this.#view.getBigUint64(at, true)));
  }

  #read(at: number, size: number, read: () => number): number {
    if (at >= 0 && at + size <= this.bytes.length) return read();
    throw this.#fault(`it ends before offset ${at + size}`);
  }

  #fault(what: string): LinkError {
    return new LinkError(`${this.#name}: ${what}`);
  }
}

/** elf(5): p_type. */
export const segmentType = {
  load: 1,
  dynamic: 2,
  interpreter: 3,
  note: 4,
  table: 6,
  threadLocal: 7,
} as const;

/** Sizes of a program header, and offsets in the file's header: elf(5). */
export const segmentSize = 56;
export const header = {
  type: 16,
  machine: 18,
  entry: 24,
  segmentTable: 32,
  sectionTable: 40,
  segmentCount: 56,
  sectionCount: 60,
  sectionNames: 62,
} as const;

const sectionSize = 64;
const symbolSize = 24;
const relocationSize = 24;
const machineX64 = 62;
const typeExecutable = 2;
const symbolSection = 2;
const weakBinding = 2;
/** The null entry in a table of initializers. */
const noFunction = Number(0xffff_ffff_ffff_ffffn);
const tags = {
  jumpSize: 2,
  strings: 5,
  symbols: 6,
  rela: 7,
  relaSize: 8,
  jumpRelocations: 23,
  initializers: 25,
  initializersSize: 27,
} as const;
/** Unsupported forms, which Bun's executable does not have. */
const unread = [
  [17, "DT_REL"],
  [36, "DT_RELR"],
  [32, "DT_PREINIT_ARRAY"],
] as const;
