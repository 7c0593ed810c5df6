/** What an executable imports, and which of these imports are new. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";

import { Elf, segmentType } from "../../../scripts/static/linker/elf.ts";
import {
  assertRecorded,
  describeImports,
  importsOf,
} from "../../../scripts/static/linker/imports.ts";
import { stubText, threadLocalOf } from "../../../scripts/static/linker/stub.ts";
import { smallDynamic, type SmallImport } from "../../support/small-dynamic.ts";
import { smallElf } from "../../support/small-elf.ts";

const root = `${import.meta.dir}/../../..`;
const at = 0x20_0000;

/** An executable with a thread-local segment at `threadLocal.address`. */
function executable(
  relocations: readonly SmallImport[],
  threadLocal: { readonly memorySize: number; readonly alignment: number } | null = null,
): Elf {
  const { bytes, segment } = smallDynamic({ address: at, relocations, initializers: [119n] });
  const load = { type: segmentType.load, address: at, bytes };
  const own =
    threadLocal === null
      ? []
      : [{ type: segmentType.threadLocal, address: at, fileSize: 8, ...threadLocal }];
  return new Elf(smallElf({ entry: 0x20_1234, segments: [load, segment, ...own] }), "bun");
}

const ordinary: readonly SmallImport[] = [
  { address: at, type: 7, name: "write" },
  { address: at + 8, type: 6, name: "abort" },
  { address: at + 16, type: 1, name: "write" },
  { address: at + 24, type: 6, name: "hook", weak: true },
  { address: at + 32, type: 5, name: "stderr", size: 8 },
  { address: at + 40, type: 5, name: "environ", size: 8 },
  { address: at + 48, type: 5, name: "_ZTVN10__cxxabiv120__si_class_type_infoE", size: 88 },
  { address: at + 56, type: 6, name: "stderr" },
  { address: at + 64, type: 18, name: "_ZSt11__once_call" },
];

test("imports are classified: needed, absent, copied, shared, thread-local", () => {
  const { relocations, ...imports } = importsOf(executable(ordinary));
  expect(relocations.length).toBe(ordinary.length);
  expect(imports).toEqual({
    needed: ["abort", "write"],
    absent: ["hook"],
    copied: [{ name: "stderr", address: at + 32, size: 8 }],
    shared: [
      { name: "environ", address: at + 40, size: 8 },
      { name: "_ZTVN10__cxxabiv120__si_class_type_infoE", address: at + 48, size: 88 },
    ],
    threadLocal: ["_ZSt11__once_call"],
  });
});

test.each([0, 2, 8, 16, 17, 37, 4_000_000_000])(
  "a relocation of type %i is refused by number, address and symbol",
  (type) => {
    const strange = executable([...ordinary, { address: 0x20_abcd, type, name: "strange" }]);
    expect(() => importsOf(strange)).toThrow(`relocation type ${type} at 0x20abcd for strange`);
  },
);

describe("the record of imports", () => {
  const imports = importsOf(executable(ordinary));
  const text = describeImports(imports);

  test("has one line each, sorted", () => {
    expect(text.split("\n").slice(0, 4)).toEqual([
      "absent hook",
      "copied stderr 8",
      "needed abort",
      "needed write",
    ]);
    expect(() => {
      assertRecorded(imports, text);
    }).not.toThrow();
  });

  test("reports each line that is new or missing, and no other", () => {
    const other = text.replace("needed abort\n", "needed exit\n").replace("stderr 8", "stderr 16");
    const says = (): void => {
      assertRecorded(imports, other);
    };
    expect(says).toThrow("imports.txt lists:\n");
    const lines = messageOf(says)
      .split("\n")
      .filter((line) => line.startsWith("  "));
    expect(lines).toEqual([
      "  new: copied stderr 8",
      "  new: needed abort",
      "  gone: copied stderr 16",
      "  gone: needed exit",
    ]);
  });

  test("matches the imports of the locked Bun", () => {
    const path = `${root}/node_modules/@oven/bun-linux-x64-musl/bin/bun`;
    const bun = new Elf(readFileSync(path), "bun");
    const recorded = readFileSync(`${root}/scripts/static/linker/imports.txt`, "utf8");
    expect(describeImports(importsOf(bun))).toBe(recorded);
    expect([...threadLocalOf(bun, importsOf(bun)).offsets.keys()]).toContain("_ZSt11__once_call");
  });
});

describe("thread-local variables", () => {
  const call = [{ address: at, type: 18, name: "_ZSt11__once_call" }];

  test("are placed below the existing ones, whose size is rounded up", () => {
    const bun = executable(call, { memorySize: 0x5798, alignment: 16 });
    const { offsets } = threadLocalOf(bun, importsOf(bun));
    expect(offsets.get("_ZSt11__once_call")).toBe(-0x57a0 - 8);
    expect(offsets.get("_ZSt15__once_callable")).toBe(-0x57a0 - 16);
  });

  test.each([0, 1])("with alignment %i are unaligned: elf(5)", (alignment) => {
    const bun = executable(call, { memorySize: 24, alignment });
    expect(threadLocalOf(bun, importsOf(bun)).offsets.get("_ZSt11__once_call")).toBe(-24 - 8);
  });

  test("that are unknown are refused by name", () => {
    const relocations = [...call, { address: at + 8, type: 18, name: "errno_of_ours" }];
    const bun = executable(relocations, { memorySize: 8, alignment: 8 });
    expect(() => threadLocalOf(bun, importsOf(bun))).toThrow("thread-local errno_of_ours is not");
  });

  test("without a segment for them are refused", () => {
    const bun = executable(call);
    expect(() => threadLocalOf(bun, importsOf(bun))).toThrow("no thread-local segment");
  });
});

test("the stub has a word for every import, sorted by name, and Bun's entry point", () => {
  const bun = executable(ordinary, { memorySize: 16, alignment: 8 });
  const imports = importsOf(bun);
  const stub = stubText(bun, imports, threadLocalOf(bun, imports));
  expect(stub).toContain("link_imports:\n  .quad abort\n  .quad write\n");
  expect(stub).toContain(`link_copies:\n  .quad stderr, ${at + 32}, 8\n  .quad 0\n`);
  for (const name of ["environ", "__environ", "_environ", "___environ"])
    expect(stub).toContain(`.set ${name}, ${at + 40}\n`);
  expect(stub).toContain(`.set bun_entry, ${bun.entry}\n`);
  expect(stub).toContain(".balign 8\n  .quad 119\n");
  expect(stub).toContain("mov %fs:-24, %rax");
  expect(stub).not.toContain("hook");
});

function messageOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
}
