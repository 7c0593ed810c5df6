/** What the linker reads of an executable, and what it refuses: each error names the file and the fault. */
import { describe, expect, test } from "bun:test";

import { Elf, LinkError, segmentType } from "../../../scripts/static/linker/elf.ts";
import { smallDynamic, type SmallDynamic } from "../../support/small-dynamic.ts";
import { smallElf } from "../../support/small-elf.ts";

const plain = smallElf({
  entry: 0x20_1000,
  segments: [
    { type: segmentType.load, address: 0x20_0000, bytes: new Uint8Array(64).fill(1) },
    {
      type: segmentType.load,
      address: 0x20_1010,
      bytes: new Uint8Array(16).fill(2),
      memorySize: 64,
    },
  ],
  symbols: { main: 0x20_1000, table: 0x20_1010 },
});

function changed(bytes: Uint8Array, at: number, ...to: readonly number[]): Uint8Array {
  const other = bytes.slice();
  other.set(to, at);
  return other;
}

function withDynamic(dynamic: Omit<SmallDynamic, "address">): Uint8Array {
  const { bytes, segment } = smallDynamic({ address: 0x20_0000, ...dynamic });
  const load = { type: segmentType.load, address: 0x20_0000, bytes };
  return smallElf({ segments: [load, segment] });
}

function refusal(bytes: Uint8Array, read: (elf: Elf) => unknown = () => null): string {
  try {
    read(new Elf(bytes, "bun"));
    return "none";
  } catch (error) {
    if (error instanceof LinkError) return error.message;
    throw error;
  }
}

function relocations(elf: Elf): unknown {
  return elf.relocations();
}

describe("refuses a file that is", () => {
  test.each([
    ["empty", new Uint8Array(), "bun: no ELF file"],
    ["a script", new TextEncoder().encode("#!/bin/sh\n"), "bun: no ELF file"],
    ["of 32 bits", changed(plain, 4, 1), "bun: not of 64 bits"],
    ["most significant byte first", changed(plain, 5, 2), "least significant byte first"],
    ["for ARM", changed(plain, 18, 183, 0), "bun: not for x86-64"],
    ["at any address (ET_DYN)", changed(plain, 16, 3), "bun: not an executable of fixed addresses"],
    ["an object (ET_REL)", changed(plain, 16, 1), "bun: not an executable of fixed addresses"],
    ["cut in its header", plain.subarray(0, 17), "bun: it ends before offset 20"],
    ["cut at the end of its header", plain.subarray(0, 57), "bun: it ends before offset 58"],
    ["cut in its segments", plain.subarray(0, 120), "bun: it ends before offset "],
    ["cut in its loaded part", plain.subarray(0, 0x1010), "bun: it ends before offset"],
    ["its segments far away", changed(plain, 32, 0, 0, 0, 0, 0, 1), "bun: it ends before offset"],
    [
      "with fewer segments than it claims",
      changed(plain, 56, 255, 255),
      "bun: it ends before offset",
    ],
  ])("%s", (_, bytes, says) => {
    expect(refusal(bytes)).toContain(says);
  });
});

describe("refuses a table", () => {
  const dynamic = withDynamic({ relocations: [{ address: 0x20_0000, type: 7, name: "x" }] });

  test.each([
    [17, "DT_REL"],
    [36, "DT_RELR"],
    [32, "DT_PREINIT_ARRAY"],
  ])("of the kind %i", (tag, name) => {
    const says = `bun: a dynamic section with ${name}, which is not read`;
    expect(refusal(withDynamic({ tags: [[tag, 0x20_0000]] }), relocations)).toBe(says);
  });

  test("that occurs twice", () => {
    const { bytes, segment } = smallDynamic({ address: 0x20_0000 });
    const load = { type: segmentType.load, address: 0x20_0000, bytes };
    const two = smallElf({ segments: [load, segment, segment] });
    expect(refusal(two, relocations)).toBe("bun: two segments of type 0x2");
  });

  test.each([
    ["that is not loaded", [7, 0x99_0000], "bun: nothing of it is at 0x990000"],
    ["that is longer than the file", [8, 0x1_0000], "bun: "],
    ["that is longer than any file", [8, 2 ** 52], "bun: "],
    ["whose symbols are not loaded", [6, 0x99_0000], "bun: nothing of it is at 0x99"],
    ["whose names are not loaded", [5, 0x99_0000], "bun: nothing of it is at 0x99"],
  ] as const)("of relocations %s", (_, tag, says) => {
    const bytes = withDynamic({
      relocations: [{ address: 0x20_0000, type: 7, name: "x" }],
      tags: [tag],
    });
    expect(refusal(bytes, relocations)).toContain(says);
  });

  test.each([
    ["that is not loaded", [25, 0x99_0000], "bun: nothing of it is at 0x990000"],
    ["that is longer than any file", [27, 2 ** 52], "bun: "],
  ] as const)("of initializers %s", (_, tag, says) => {
    const bytes = withDynamic({ initializers: [1n], tags: [tag] });
    expect(refusal(bytes, (elf) => elf.initializers())).toContain(says);
  });

  test("of symbols that is truncated", () => {
    const cut = plain.subarray(0, plain.length - 100);
    expect(refusal(cut, (elf) => elf.symbols())).toContain("bun: it ends before offset");
  });

  test("of relocations without symbols", () => {
    // Their tag is replaced.
    const without = dynamic.slice();
    const view = new DataView(without.buffer);
    for (let at = 0; at < without.length - 8; at += 8)
      if (view.getBigUint64(at, true) === 6n && view.getBigUint64(at + 8, true) > 0x20_0000n)
        view.setBigUint64(at, 0x6fff_0000n, true);
    expect(refusal(without, relocations)).toBe("bun: relocations without symbols or size");
  });
});

describe("reads of an executable", () => {
  const elf = new Elf(plain, "bun");

  test("entry, segments and their places", () => {
    expect(elf.entry).toBe(0x20_1000);
    expect(elf.segmentTable).toBe(64);
    const { bytes, ...sizes } = { ...elf.loads[1], bytes: 0 };
    expect({ bytes, ...sizes }).toMatchObject({ address: 0x20_1010, fileSize: 16, memorySize: 64 });
    expect(plain[elf.offsetOf(0x20_101f)]).toBe(2);
    expect(elf.u64At(0x20_0000)).toBe(Number(0x0101_0101_0101_0101n));
  });

  test.each([0x1f_ffff, 0x20_0040, 0x20_100f, 0x20_1020])("no bytes at %i", (address) => {
    expect(() => elf.offsetOf(address)).toThrow(
      `bun: nothing of it is at 0x${address.toString(16)}`,
    );
  });

  test("the symbols that a linker leaves", () => {
    expect(Object.fromEntries(elf.symbols())).toEqual({ main: 0x20_1000, table: 0x20_1010 });
  });

  test("nothing without a dynamic section", () => {
    expect(elf.find(segmentType.dynamic)).toBeNull();
    expect(elf.relocations()).toEqual([]);
    expect(elf.initializers()).toEqual([]);
  });

  test("relocations of both tables, in order", () => {
    const object = { address: 0x20_0008, type: 5, name: "object", size: 24 };
    const hook = { address: 0x20_0010, type: 1, name: "hook", weak: true, addend: -8 };
    const call = { address: 0x20_0018, type: 7, name: "call" };
    const bytes = withDynamic({ relocations: [object, hook], jumpRelocations: [call] });
    expect(new Elf(bytes, "bun").relocations()).toEqual([
      { address: 0x20_0008, type: 5, symbol: { name: "object", weak: false, size: 24 }, addend: 0 },
      { address: 0x20_0010, type: 1, symbol: { name: "hook", weak: true, size: 0 }, addend: -8 },
      { address: 0x20_0018, type: 7, symbol: { name: "call", weak: false, size: 0 }, addend: 0 },
    ]);
  });

  test("initializers, without null entries", () => {
    const bytes = withDynamic({ initializers: [0n, 0x20_1000n, -1n, 0x20_1008n] });
    expect(new Elf(bytes, "bun").initializers()).toEqual([0x20_1000, 0x20_1008]);
  });

  test("bytes inside others", () => {
    const around = new Uint8Array(plain.length + 7);
    around.set(plain, 7);
    expect(new Elf(around.subarray(7), "bun").symbols().get("main")).toBe(0x20_1000);
  });
});
