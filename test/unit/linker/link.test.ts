/** Links two executables into one: every import gets its address. */
import { describe, expect, test } from "bun:test";

import { Elf, segmentType } from "../../../scripts/static/linker/elf.ts";
import { bunLike, data, entry, linked, runtimeLike, text } from "../../support/small-programs.ts";

const { interpreter, note, table, threadLocal } = segmentType;

describe("the resulting file", () => {
  const file = linked(bunLike(), runtimeLike());

  test.each([
    ["the address of a function", data, 0x4000_2222],
    ["an address with its addend", data + 8, 0x4000_1111 + 5],
    ["nothing for a hook that is absent", data + 16, 0],
    ["Bun's own copy of an object", data + 32, data + 24],
  ])("has %s", (_, address, value) => {
    expect(file.u64At(address)).toBe(value);
  });

  test("has the offset of a thread-local variable", () => {
    const view = new DataView(file.bytes.buffer);
    expect(view.getBigInt64(file.offsetOf(data + 40), true)).toBe(-24n - 8n);
  });

  test("starts in the runtime, and needs no loader", () => {
    expect(file.entry).toBe(entry);
    for (const type of [interpreter, segmentType.dynamic, note, table])
      expect(file.find(type)).toBeNull();
    expect(file.symbols().size).toBe(0);
  });

  test("loads all segments, in order of address, at matching offsets", () => {
    const places = file.loads.map(({ address }) => address);
    expect(places).toEqual([text, data - 16, 0x4000_0010]);
    for (const { offset, address } of file.loads) expect((address - offset) % 0x1000).toBe(0);
    expect(file.u64At(0x4000_0018)).toBe(0x4000_2222);
  });

  test("has room for two more pointers before each thread's variables", () => {
    const grown = { address: data - 16, fileSize: 24, memorySize: 40, alignment: 8 };
    expect(file.find(threadLocal)).toMatchObject(grown);
    expect(file.loads[1]).toMatchObject({ address: data - 16, fileSize: 144, memorySize: 272 });
  });

  test("does not depend on the unloaded parts of the runtime", () => {
    const symbols = { link_imports: 0x4000_0010, link_start: entry };
    // Such as a longer path in the runtime's debug information.
    expect(bytesWith({ the_path_of_some_folder: 1, ...symbols })).toEqual(bytesWith(symbols));
  });
});

function bytesWith(symbols: Readonly<Record<string, number>>): Uint8Array {
  return linked(bunLike(), withHeader(runtimeLike({ symbols }))).bytes;
}

/** As a linker lays it out: the header is part of the loaded bytes. */
function withHeader({ bytes }: Elf): Elf {
  const view = new DataView(bytes.buffer);
  const [offset, address, size] = [0n, 0x3fff_f000n, 0x1020n];
  for (const [at, value] of [offset, address, address, size, size].entries())
    view.setBigUint64(64 + 8 + at * 8, value, true);
  return new Elf(bytes, "runtime");
}
