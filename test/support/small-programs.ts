/** Stand-ins for Bun's executable and for the runtime in the linker's tests. */
import { Elf, segmentType } from "../../scripts/static/linker/elf.ts";
import { importsOf } from "../../scripts/static/linker/imports.ts";
import { link } from "../../scripts/static/linker/link.ts";
import { threadLocalOf } from "../../scripts/static/linker/stub.ts";
import { smallDynamic, type SmallImport } from "./small-dynamic.ts";
import { smallElf, type SmallElf, type SmallSegment } from "./small-elf.ts";

export const text = 0x20_0000;
/** The address of Bun's data and of the first relocation. */
export const data = 0x20_1040;
/** The runtime's entry point. */
export const entry = 0x4000_0100;
const { load, interpreter, note, table, threadLocal } = segmentType;

export const relocations: readonly SmallImport[] = [
  { address: data, type: 7, name: "write", addend: 5 },
  { address: data + 8, type: 1, name: "abort", addend: 5 },
  { address: data + 16, type: 6, name: "hook", weak: true },
  { address: data + 24, type: 5, name: "stderr", size: 8 },
  { address: data + 32, type: 6, name: "stderr" },
  { address: data + 40, type: 18, name: "_ZSt11__once_call" },
];

export type BunOptions = {
  readonly relocations?: readonly SmallImport[];
  readonly segments?: readonly SmallSegment[];
  readonly data?: number;
};

/**
 * Laid out like Bun's executable: read-only first, then data that starts with the thread-local part, and segments for
 * a loader.
 */
export function bunLike(options: BunOptions = {}): Elf {
  const start = options.data ?? data;
  const dynamic = smallDynamic({ address: text, relocations: options.relocations ?? relocations });
  const segments = options.segments ?? [
    { type: table, address: text },
    { type: interpreter, address: text, fileSize: 8 },
    { type: note, address: text, fileSize: 8 },
  ];
  const bytes = smallElf({
    entry: text,
    segments: [
      { type: load, address: text, bytes: dynamic.bytes },
      { type: load, address: start, bytes: new Uint8Array(128).fill(9), memorySize: 256 },
      { type: threadLocal, address: start, fileSize: 8, memorySize: 24, alignment: 8 },
      dynamic.segment,
      ...segments,
    ],
  });
  return new Elf(bytes, "bun");
}

/** With abort at 0x40001111 and write at 0x40002222: the table is sorted by name. */
export function runtimeLike(over: Partial<SmallElf> = {}): Elf {
  const bytes = new Uint8Array(new BigUint64Array([0x4000_1111n, 0x4000_2222n]).buffer);
  const defaults: SmallElf = {
    segments: [{ type: load, address: 0x4000_0010, bytes }],
    symbols: { link_imports: 0x4000_0010, link_start: entry },
  };
  return new Elf(smallElf({ ...defaults, ...over }), "runtime");
}

export function linked(bun: Elf, runtime: Elf): Elf {
  const imports = importsOf(bun);
  return new Elf(
    link({ bun, runtime, imports, threadLocal: threadLocalOf(bun, imports) }),
    "linked",
  );
}
