/** Any bytes are read, or refused with a LinkError, without long computation. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { Elf, LinkError } from "../../../scripts/static/linker/elf.ts";
import { describeImports, importsOf } from "../../../scripts/static/linker/imports.ts";
import { stubText, threadLocalOf } from "../../../scripts/static/linker/stub.ts";
import { bunLike } from "../../support/small-programs.ts";

const whole = bunLike().bytes;
/** More CPU time than any file of a few kilobytes may take. CPU time, because a busy machine delays every process. */
const cpuMsMax = 1000;

/** Every reading of an executable before a runtime is built for it. */
function readAll(bytes: Uint8Array): void {
  const elf = new Elf(bytes, "any");
  elf.symbols();
  const imports = importsOf(elf);
  describeImports(imports);
  const threadLocal = threadLocalOf(elf, imports);
  stubText(elf, imports, threadLocal);
  for (const offset of threadLocal.offsets.values()) expect(Number.isInteger(offset)).toBe(true);
}

function isRefused(bytes: Uint8Array): boolean {
  const before = process.cpuUsage();
  let refused = false;
  try {
    readAll(bytes);
  } catch (error) {
    if (!(error instanceof LinkError)) throw error;
    refused = true;
  }
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(cpuMsMax);
  return refused;
}

/** Offsets with a meaning: header, program headers, and the tables behind them. */
const place = fc.oneof(
  fc.integer({ min: 0, max: 64 + 8 * 56 }),
  fc.integer({ min: 0, max: whole.length - 1 }),
);
const value = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
const changes = fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 12 });

function mutated(changed: readonly (readonly [number, number])[]): Uint8Array {
  const bytes = whole.slice();
  for (const [at, byte] of changed) bytes[at] = byte;
  return bytes;
}

test("the file from which the others are derived is read", () => {
  expect(isRefused(whole)).toBe(false);
});

test("any bytes are read or refused, with the right magic too", () => {
  const head = fc.constantFrom(0, 4, 7, 20, 58, 64);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), head, (bytes, kept) => {
      bytes.set(whole.subarray(0, Math.min(kept, bytes.length)));
      isRefused(bytes);
    }),
    { numRuns: 2000 },
  );
});

test("a file cut at any offset is read or refused", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: whole.length }), (length) => {
      isRefused(whole.subarray(0, length));
    }),
    { numRuns: 500 },
  );
});

test("a file with some bytes changed is read or refused", () => {
  fc.assert(
    fc.property(changes, (changed) => {
      isRefused(mutated(changed));
    }),
    { numRuns: 5000 },
  );
});
