/** Executables that cannot be linked into one are refused, with the name or place of the fault. */
import { describe, expect, test } from "bun:test";

import { LinkError, segmentType, type Elf } from "../../../scripts/static/linker/elf.ts";
import { importsOf } from "../../../scripts/static/linker/imports.ts";
import { link } from "../../../scripts/static/linker/link.ts";
import { threadLocalOf } from "../../../scripts/static/linker/stub.ts";
import type { SmallImport } from "../../support/small-dynamic.ts";
import {
  bunLike,
  data,
  entry,
  linked,
  relocations,
  runtimeLike,
} from "../../support/small-programs.ts";

const { interpreter, load, threadLocal } = segmentType;

describe("refuses", () => {
  const refusals: readonly (readonly [string, () => Elf, () => Elf, string])[] = [
    [
      "a relocation without a symbol",
      () => bunLike({ relocations: [{ address: data, type: 1, name: "" }] }),
      runtimeLike,
      " is not resolved",
    ],
    [
      "a runtime without an entry point",
      bunLike,
      () => runtimeLike({ symbols: { link_imports: 0x4000_0010 } }),
      "the runtime has no symbol link_start",
    ],
    [
      "a runtime without a table",
      bunLike,
      () => runtimeLike({ symbols: { link_start: entry } }),
      "the runtime has no symbol link_imports",
    ],
    [
      "a runtime whose table is too short",
      () => bunLike({ relocations: [...relocations, ...more(4)] }),
      runtimeLike,
      "runtime: nothing of it is at 0x4000",
    ],
    ["a runtime that needs a loader", bunLike, () => withSegment(interpreter), "wants a loader"],
    [
      "a runtime with thread-local variables",
      bunLike,
      () => withSegment(threadLocal),
      "the runtime has thread-local variables of its own",
    ],
    [
      "a runtime at Bun's addresses",
      bunLike,
      () => overlapping(data + 64),
      `segments overlap at 0x${(data + 64).toString(16)}`,
    ],
    [
      "a runtime at the addresses of Bun's zeroed memory",
      bunLike,
      () => overlapping(data + 255),
      `segments overlap at 0x${(data + 255).toString(16)}`,
    ],
    [
      "more segments than there is room for",
      () => bunLike({ segments: [] }),
      () => manyLoads(2),
      "5 segments do not fit in the place of 4",
    ],
    [
      "thread-local variables at the start of a page",
      () => bunLike({ data: 0x20_1000, relocations: [] }),
      runtimeLike,
      "the thread-local segment begins a page",
    ],
    [
      "a relocation outside the file",
      () =>
        bunLike({ relocations: [{ address: data + 200, type: 18, name: "_ZSt11__once_call" }] }),
      runtimeLike,
      "bun: nothing of it is at 0x",
    ],
  ];

  test.each(refusals)("%s", (_, bun, runtime, says) => {
    const [one, other] = [bun(), runtime()];
    expect(() => linked(one, other)).toThrow(LinkError);
    expect(() => linked(one, other)).toThrow(says);
  });

  test("refuses an undefined symbol by name", () => {
    const bun = bunLike();
    const imports = { ...importsOf(bun), needed: ["abort"] };
    const parts = {
      bun,
      runtime: runtimeLike(),
      imports,
      threadLocal: threadLocalOf(bun, imports),
    };
    expect(() => link(parts)).toThrow("write is not resolved");
  });
});

function more(count: number): readonly SmallImport[] {
  return Array.from({ length: count }, (_, at) => ({
    address: data + 48 + at * 8,
    type: 7,
    name: `more_${at}`,
  }));
}

function withSegment(type: number): Elf {
  const part = { type, address: 0x4000_0010, fileSize: 8 };
  const bytes = new Uint8Array(16);
  return runtimeLike({ segments: [{ type: load, address: 0x4000_0010, bytes }, part] });
}

function overlapping(address: number): Elf {
  const bytes = new Uint8Array(16);
  return runtimeLike({
    segments: [{ type: load, address, bytes }],
    symbols: { link_imports: address, link_start: address },
  });
}

function manyLoads(count: number): Elf {
  const bytes = new Uint8Array(16);
  const first = 0x4000_0010;
  const segments = Array.from({ length: count }, (_, index) => ({
    type: load,
    address: first + index * 0x1000,
    bytes,
  }));
  return runtimeLike({ segments, symbols: { link_imports: first, link_start: first } });
}
