/** Which pages of the process may be released: file pages that were never written. */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { filePagesOf } from "../../../src/native/memory.ts";

type Shown = { readonly head: string; readonly anonymous?: number; readonly more?: string };

/** In the kernel's format: fs/proc/task_mmu.c. */
function smaps(...mappings: readonly Shown[]): string {
  return mappings
    .map(
      ({ head, anonymous = 0, more = "" }) => `${head}
Size:              24544 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:               10528 kB
Pss:               10528 kB
Shared_Clean:          0 kB
Private_Clean:     10528 kB
Private_Dirty:         0 kB
Referenced:        10528 kB
Anonymous:      ${String(anonymous).padStart(8)} kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Swap:                  0 kB
THPeligible:    0
${more}VmFlags: rd mr mw me sd 
`,
    )
    .join("");
}

const path = "08:01 131094                             /usr/bin/tproxy";
const readOnly = `00200000-019f6000 r--p 00000000 ${path}`;
const code = `019f6000-06223000 r-xp 017f5000 ${path}`;

test("read-only and executable file pages are released", () => {
  expect(filePagesOf(smaps({ head: readOnly }, { head: code }))).toEqual([
    { address: 0x20_0000, size: 0x17f_6000 },
    { address: 0x19f_6000, size: 0x482_d000 },
  ]);
});

test.each([
  ["with a private page", { head: readOnly, anonymous: 4 }],
  ["with many private pages", { head: code, anonymous: 10_240 }],
  ["that is writable", { head: `06223000-06919000 rw-p 06021000 ${path}` }],
  ["that is shared", { head: `7f0000000000-7f0000001000 r--s 00000000 ${path}` }],
  ["that is not readable", { head: `7f0000000000-7f0000001000 ---p 00000000 ${path}` }],
  ["without a file", { head: "7f0000000000-7f0000001000 r--p 00000000 00:00 0 " }],
  ["of the heap", { head: "07000000-07021000 r--p 00000000 00:00 0                    [heap]" }],
  ["of the kernel's", { head: "7ffd0a9f2000-7ffd0a9f4000 r-xp 00000000 00:00 0          [vdso]" }],
  ["of the kernel's", { head: "7ffd0a9ee000-7ffd0a9f2000 r--p 00000000 00:00 0          [vvar]" }],
  ["without a name", { head: "7f0000000000-7f0000001000 r--p 00000000 08:01 131094" }],
])("a mapping %s is not released", (_, mapping) => {
  expect(filePagesOf(smaps(mapping))).toEqual([]);
  const around = filePagesOf(smaps({ head: readOnly }, mapping, { head: code }));
  expect(around.map(({ address }) => address)).toEqual([0x20_0000, 0x19f_6000]);
});

test("a mapping for which the kernel does not report private pages is not released", () => {
  const silent = smaps({ head: readOnly }).replace(/^Anonymous:.*\n/m, "");
  expect(filePagesOf(silent)).toEqual([]);
});

test("a file name that imitates another line has no effect", () => {
  const head = `${readOnly} Anonymous: 0 kB`;
  expect(filePagesOf(smaps({ head, anonymous: 4 }))).toEqual([]);
});

test("some pages of this process are released, and none that it writes to", () => {
  const taken = filePagesOf(readFileSync("/proc/self/smaps", "latin1"));
  const maps = readFileSync("/proc/self/maps", "latin1");
  expect(taken.length).toBeGreaterThan(0);
  for (const { address, size } of taken) {
    const line = maps.split("\n").find((one) => one.startsWith(`${hex(address)}-`)) ?? "";
    expect(line).toMatch(/ r-[-x]p .* \//);
    expect(line).toStartWith(`${hex(address)}-${hex(address + size)} `);
    expect(address % 4096).toBe(0);
  }
});

test("without mappings there are none", () => {
  expect(filePagesOf("")).toEqual([]);
});

/** An address in the kernel's format. */
function hex(at: number): string {
  return at.toString(16).padStart(8, "0");
}
