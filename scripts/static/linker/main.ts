/**
 * Makes a static executable: `main.ts BUN_EXECUTABLE OUT [--record]`, where BUN_EXECUTABLE is the output of
 * `bun build --compile` for musl. `--record` writes its imports to imports.txt; without it they must match the record.
 * `main.ts --runtime BUN` builds only the runtime, from Bun itself: the long part, before the program is compiled.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

import { Elf, LinkError } from "./elf.ts";
import { assertRecorded, describeImports, importsOf } from "./imports.ts";
import { link } from "./link.ts";
import { stubText, threadLocalOf } from "./stub.ts";

const [from = "", to = "", ...options] = process.argv.slice(2);
const recorded = `${import.meta.dir}/imports.txt`;
const folder = resolve(import.meta.dir, "..");

try {
  main();
} catch (error) {
  if (!(error instanceof LinkError)) throw error;
  console.error(`link: ${error.message}`);
  process.exitCode = 1;
}

function main(): void {
  if (from === "--runtime") buildRuntimeFor(to);
  else makeStatic();
}

function buildRuntimeFor(path: string): void {
  const bun = new Elf(readFileSync(path), path);
  const imports = importsOf(bun);
  buildRuntime(stubText(bun, imports, threadLocalOf(bun, imports)));
}

function makeStatic(): void {
  const bun = new Elf(readFileSync(from), from);
  const imports = importsOf(bun);
  if (options.includes("--record")) writeFileSync(recorded, describeImports(imports));
  assertRecorded(imports, readFileSync(recorded, "utf8"));
  const threadLocal = threadLocalOf(bun, imports);
  const runtime = buildRuntime(stubText(bun, imports, threadLocal));
  writeFileSync(`${to}.new`, link({ bun, runtime, imports, threadLocal }));
  chmodSync(`${to}.new`, 0o755);
  renameSync(`${to}.new`, to);
}

/** Built by Zig, whose libc.a is musl's: everything that Bun imports, at addresses that are the same in each build. */
function buildRuntime(stub: string): Elf {
  const path = `${folder}/zig-out/stub.s`;
  mkdirSync(`${folder}/zig-out`, { recursive: true });
  if (!existsSync(path) || readFileSync(path, "utf8") !== stub) writeFileSync(path, stub);
  const command = ["zig", "build", `-Dstub=${path}`];
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: folder, stderr: "pipe" });
  if (exitCode !== 0) throw new LinkError(`the runtime does not build:\n${stderr.toString()}`);
  const runtime = `${folder}/zig-out/bin/runtime`;
  return new Elf(readFileSync(runtime), runtime);
}
