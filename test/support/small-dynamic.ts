/** Hand-made dynamic sections: what a loader would read of an executable, and the linker reads instead. */
import { padded, u64, type SmallSegment } from "./small-elf.ts";

export type SmallImport = {
  readonly address: number;
  readonly type: number;
  readonly name: string;
  readonly weak?: boolean;
  readonly size?: number;
  readonly addend?: number;
};

export type SmallDynamic = {
  /** The load address of its bytes. */
  readonly address: number;
  readonly relocations?: readonly SmallImport[];
  readonly jumpRelocations?: readonly SmallImport[];
  readonly initializers?: readonly bigint[];
  /** Additional entries ahead of the others; the first entry with a tag counts. */
  readonly tags?: readonly (readonly [number, number])[];
};

/** Symbols, names, relocations and initializers in a loader's format, and the offset of their table. */
export function smallDynamic(dynamic: SmallDynamic): {
  readonly bytes: Uint8Array;
  readonly segment: SmallSegment;
} {
  const { address, relocations = [], jumpRelocations = [], initializers = [], tags = [] } = dynamic;
  const all = [...relocations, ...jumpRelocations];
  const names = Buffer.from(`\0${all.map(({ name }) => `${name}\0`).join("")}`);
  const symbols = Buffer.concat([
    Buffer.alloc(24),
    ...all.map(({ name, weak = false, size = 0 }) => {
      const symbol = Buffer.alloc(24);
      symbol.writeUInt32LE(name === "" ? 0 : names.indexOf(`\0${name}\0`) + 1, 0);
      symbol.writeUInt8(weak ? 0x22 : 0x12, 4);
      symbol.writeBigUInt64LE(BigInt(size), 16);
      return symbol;
    }),
  ]);
  const first = relocationTable(relocations, 1);
  const second = relocationTable(jumpRelocations, 1 + relocations.length);
  const functions = Buffer.concat(initializers.map(u64));
  const parts = [padded(names), symbols, first, second, functions];
  const places = parts.map((_, at) => address + Buffer.concat(parts.slice(0, at)).length);
  const [texts = 0, symbolTable = 0, rela = 0, jump = 0, functionTable = 0] = places;
  const entries: readonly (readonly [number, number])[] = [
    ...tags,
    [tag.strings, texts],
    [tag.symbols, symbolTable],
    [tag.rela, rela],
    [tag.relaSize, first.length],
    [tag.jump, jump],
    [tag.jumpSize, second.length],
    [tag.initializers, functionTable],
    [tag.initializersSize, functions.length],
    [0, 0],
  ];
  const table = Buffer.concat(entries.flat().map((value) => u64(BigInt(value))));
  const before = Buffer.concat(parts);
  return {
    bytes: new Uint8Array(Buffer.concat([before, table])),
    segment: { type: 2, address: address + before.length, fileSize: table.length },
  };
}

function relocationTable(imports: readonly SmallImport[], firstSymbol: number): Buffer {
  return Buffer.concat(
    imports.map(({ address, type, addend = 0 }, at) => {
      const entry = Buffer.alloc(24);
      entry.writeBigUInt64LE(BigInt(address), 0);
      entry.writeUInt32LE(type, 8);
      entry.writeUInt32LE(firstSymbol + at, 12);
      entry.writeBigInt64LE(BigInt(addend), 16);
      return entry;
    }),
  );
}

const tag = {
  jumpSize: 2,
  strings: 5,
  symbols: 6,
  rela: 7,
  relaSize: 8,
  jump: 23,
  initializers: 25,
  initializersSize: 27,
} as const;
