/** Executables made by Zig without libc: what is read of them matches their source. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";

import { Elf, LinkError, segmentType } from "../../../scripts/static/linker/elf.ts";
import { importsOf, relocationType } from "../../../scripts/static/linker/imports.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const directory = temporaryDirectory();
const zig = `${import.meta.dir}/../../../node_modules/.bin/zig`;
const fixed = ["-fno-pie", "-no-pie"];

const end = "__builtin_trap();";
const alone = `int answer = 42; void _start(void) { answer = 43; ${end} }`;
const library = `int counted(int x) { return x + 1; } long shared_value[3] = {7}; __thread int per_thread = 3;`;
const importing = `
extern int counted(int); extern long shared_value[3]; extern __thread int per_thread;
extern void maybe(void) __attribute__((weak));
static volatile int ready;
static void __attribute__((constructor)) prepare(void) { ready = 1; }
int (*volatile pointer)(int) = counted;
void _start(void) { if (maybe) maybe(); ready += pointer(counted(shared_value[0])) + per_thread; ${end} }`;

function compile(name: string, source: string, ...options: readonly string[]): string {
  const [from, to] = [`${directory}/${name}.c`, `${directory}/${name}`];
  writeFileSync(from, source);
  const target = ["-target", "x86_64-linux-musl", "-nostdlib", "-O1"];
  const command = [zig, "cc", ...target, ...options, from, "-o", to];
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: directory });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return to;
}

function read(...of: Parameters<typeof compile>): Elf {
  return new Elf(readFileSync(compile(...of)), of[0]);
}

describe("a static executable", () => {
  const elf = read("alone", alone, "-static", ...fixed);

  test("starts at its _start, and has its variable at the symbol's address", () => {
    const symbols = elf.symbols();
    const address = symbols.get("answer") ?? 0;
    expect(elf.entry).toBe(symbols.get("_start") ?? 0);
    expect(new DataView(elf.bytes.buffer).getInt32(elf.offsetOf(address), true)).toBe(42);
  });

  test("imports nothing and needs no loader", () => {
    expect(elf.find(segmentType.interpreter)).toBeNull();
    expect(importsOf(elf).relocations).toEqual([]);
    expect(elf.initializers()).toEqual([]);
  });
});

describe("an executable that imports", () => {
  compile("liblib.so", library, "-shared");
  const elf = read("importing", importing, "-dynamic", ...fixed, "-L.", "-llib");

  test("needs a loader, and is loaded at its entry's address", () => {
    expect(elf.find(segmentType.interpreter)).not.toBeNull();
    expect(elf.find(segmentType.dynamic)).not.toBeNull();
    expect(elf.offsetOf(elf.entry)).toBeGreaterThan(0);
  });

  test("imports what its source does, each by its mechanism", () => {
    const { needed, absent, threadLocal, relocations } = importsOf(elf);
    expect({ needed, absent, threadLocal }).toEqual({
      needed: ["counted", "shared_value"],
      absent: ["maybe"],
      threadLocal: ["per_thread"],
    });
    const types = (name: string): readonly number[] =>
      relocations.filter(({ symbol }) => symbol.name === name).map(({ type }) => type);
    expect(types("per_thread")).toEqual([relocationType.threadOffset]);
    expect(types("shared_value")).toEqual([relocationType.globalData]);
    expect(types("counted")).toContain(relocationType.address);
  });

  test("has the address of its constructor", () => {
    expect(elf.initializers()).toEqual([elf.symbols().get("prepare") ?? 0]);
  });
});

test.each([
  ["an executable for any address", ["-fPIE", "-pie"], "(ET_EXEC)"],
  ["a library", ["-shared"], "(ET_EXEC)"],
  ["an executable for ARM", ["-target", "aarch64-linux-musl", "-static", ...fixed], "not for x86"],
])("%s is refused", (_, options, says) => {
  const path = compile("other", alone, ...options);
  const other = (): Elf => new Elf(readFileSync(path), "other");
  expect(other).toThrow(LinkError);
  expect(other).toThrow(says);
});
