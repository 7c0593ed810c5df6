/** The pages of this process that are mapped from its executable: they can be read again at any time. */
import { readFileSync } from "node:fs";

import { shim } from "./native.ts";

export type Mapping = { readonly address: number; readonly size: number };

/**
 * Gives the file's pages back to the kernel, which reads them again from its cache one by one when they are needed
 * (madvise(2): MADV_DONTNEED, MADV_RANDOM, MADV_NOHUGEPAGE).
 */
export function releaseFilePages(): void {
  for (const { address, size } of filePagesOf(readFileSync("/proc/self/smaps", "latin1"))) {
    // If the kernel caches the file in large pages, one access would bring two megabytes back.
    shim.tproxy_advise(address, size, noHugePage);
    shim.tproxy_advise(address, size, random);
    shim.tproxy_advise(address, size, dontNeed);
  }
}

/**
 * File mappings without written pages: proc(5), smaps. A mapping with private pages (a relocated one, swapped out or
 * not) would lose them.
 */
export function filePagesOf(smaps: string): readonly Mapping[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((mapping) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* +\//.exec(mapping);
    const isPure = /^Anonymous: +0 kB$/m.test(mapping) && /^Swap: +0 kB$/m.test(mapping);
    if (match === null || !isPure) return [];
    const [start, end] = [match[1], match[2]].map((hex) => Number.parseInt(hex ?? "0", 16));
    return [{ address: start ?? 0, size: (end ?? 0) - (start ?? 0) }];
  });
}

/** asm-generic/mman-common.h */
const random = 1;
const dontNeed = 4;
const noHugePage = 15;
