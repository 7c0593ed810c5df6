/** The assembly between the runtime and Bun: what the runtime must provide, and Bun's entry point. Pure. */
import { LinkError, segmentType, type Elf, type Segment } from "./elf.ts";
import type { Copied, Imports } from "./imports.ts";

/** The runtime's load address: Bun's own addresses end far below. */
export const runtimeAddress = 0x40_00_00_00;

/**
 * Two pointers of std::call_once, placed before each thread's variables: variant II of thread-local storage grows
 * downward, so Bun's own offsets do not change.
 */
export const threadLocalExtra = 16;

export type ThreadLocal = {
  readonly segment: Segment;
  /** Offsets from the thread pointer, by name. */
  readonly offsets: ReadonlyMap<string, number>;
};

/** Throws LinkError for an unknown variable. */
export function threadLocalOf(executable: Elf, { threadLocal }: Imports): ThreadLocal {
  const segment = executable.find(segmentType.threadLocal);
  if (segment === null) throw new LinkError("no thread-local segment");
  // 0 and 1 both mean none: elf(5).
  const alignment = Math.max(segment.alignment, 1);
  const size = Math.ceil(segment.memorySize / alignment) * alignment;
  const offsets = new Map<string, number>(
    extraVariables.map((name, at) => [name, at * 8 - threadLocalExtra - size]),
  );
  for (const name of threadLocal)
    if (!offsets.has(name)) throw new LinkError(`thread-local ${name} is not provided`);
  return { segment, offsets };
}

export function stubText(executable: Elf, imports: Imports, threadLocal: ThreadLocal): string {
  return [
    "# Written by scripts/static/linker: what Bun's executable imports, and its entry.",
    ...table(
      "imports",
      imports.needed.map((name) => `  .quad ${name}`),
    ),
    ...table("copies", [...imports.copied.map(copyLine), "  .quad 0"]),
    ...imports.shared.flatMap(sharedLines),
    ...constant("bun_entry", executable.entry),
    '.section .init_array,"aw",@init_array',
    ".balign 8",
    ...executable.initializers().map((address) => `  .quad ${address}`),
    ...onceProxy(threadLocal),
    ...start,
    '.section .note.GNU-stack,"",@progbits',
    "",
  ].join("\n");
}

function table(name: string, lines: readonly string[]): readonly string[] {
  // R: the section is kept although the runtime does not refer to it.
  const section = `.section .rodata.link_${name},"aR",@progbits`;
  return [section, ".balign 8", `.globl link_${name}`, `link_${name}:`, ...lines];
}

function copyLine({ name, address, size }: Copied): string {
  return `  .quad ${name}, ${address}, ${size}`;
}

/** musl has several names for the environment, all of the same object: src/env/__environ.c. */
function sharedLines({ name, address }: Copied): readonly string[] {
  const names = name === "environ" ? ["environ", "__environ", "_environ", "___environ"] : [name];
  return names.flatMap((one) => constant(one, address));
}

function constant(name: string, value: number): readonly string[] {
  return [`.globl ${name}`, `.set ${name}, ${value}`];
}

/** std::call_once jumps to the function that the calling thread has stored. */
function onceProxy({ offsets }: ThreadLocal): readonly string[] {
  return [
    '.section .text.link_once,"ax",@progbits',
    ".globl __once_proxy",
    "__once_proxy:",
    `  mov %fs:${offsets.get("_ZSt11__once_call")}, %rax`,
    "  jmp *%rax",
  ];
}

/** The kernel passes rdx to _start; the stack has arguments and environment. */
const start = [
  '.section .text.link_start,"ax",@progbits',
  ".globl link_start",
  "link_start:",
  "  xor %ebp, %ebp",
  "  mov %rdx, %r12",
  "  mov %rsp, %rdi",
  "  call link_scrub",
  "  mov %rsp, %rdi",
  "  call link_repair_process",
  "  lea link_copies(%rip), %r8",
  "1: mov (%r8), %rsi",
  "  test %rsi, %rsi",
  "  jz 2f",
  "  mov 8(%r8), %rdi",
  "  mov 16(%r8), %rcx",
  "  rep movsb",
  "  add $24, %r8",
  "  jmp 1b",
  "2: mov %r12, %rdx",
  "  jmp bun_entry",
] as const;

const extraVariables = ["_ZSt15__once_callable", "_ZSt11__once_call"] as const;
