/** The gate: every check, fastest first; the last line counts what passed and what failed. */
import { trackedFiles } from "./tracked.ts";
import { readArguments } from "./usage.ts";

readArguments(
  `Usage: bun scripts/check.ts

Runs all checks and tests, the quickest first; the last line counts them. scripts/test.sh sets up what they need.

Options:
  --help    show this

Examples:
  scripts/test.sh

Exit codes: 0 everything passed, 1 something failed, 2 a mistake on the command line.
`,
  0,
);

type Step = {
  readonly name: string;
  readonly command: readonly string[];
  /** Further arguments, which are not printed. */
  readonly files?: readonly string[];
  readonly cwd?: string;
};

const inContainers =
  "scripts/image.sh tproxy:dev --zstd 0 && TPROXY_IMAGE=tproxy:dev bun scripts/tests.ts test/docker";

const shell = trackedFiles("shell");

const steps: readonly Step[] = [
  { name: "executable", command: ["scripts/build.sh"] },
  { name: "format", command: ["bun", "fmt", "--check"], files: trackedFiles("bun") },
  { name: "format of Zig", command: ["zig", "fmt", "--check"], files: trackedFiles("zig") },
  { name: "format of shell scripts", command: ["shfmt", "-i", "2", "-ci", "-d"], files: shell },
  { name: "lint of shell scripts", command: ["shellcheck"], files: shell.filter(isWritten) },
  {
    name: "lint of the printed rules",
    command: ["shellcheck", "--shell=sh"],
    files: shell.filter((file) => !isWritten(file)),
  },
  { name: "types", command: ["bun", "check"] },
  { name: "lint", command: ["oxlint", "src", "test", "scripts"] },
  { name: "tests", command: ["bun", "scripts/tests.ts", ...without("namespace", "docker")] },
  { name: "kept cases of the fuzzer", command: ["bun", "scripts/fuzz.ts", "--kept"] },
  { name: "tests of the shim", command: ["zig", "build", "test", "--summary", "all"], cwd: "ffi" },
  {
    name: "tests of the static executable's runtime",
    command: ["zig", "build", "test", "--summary", "all"],
    cwd: "scripts/static",
  },
  { name: "executable of the previous release", command: ["scripts/previous.sh"] },
  { name: "tests in namespaces", command: ["bun", "scripts/tests.ts", "test/namespace"] },
  {
    name: "tests in containers",
    command: ["scripts/engine.sh", "run", "bash", "-c", inContainers],
  },
  { name: "soak", command: ["scripts/soak.sh", "1"] },
];

let passed = 0;
let failed = 0;
for (const step of steps) {
  const files = step.files === undefined ? "" : ` (${step.files.length} files)`;
  console.log(`\n== ${step.name}: ${step.command.join(" ")}${files}`);
  const { code, output } = await run(step);
  const counts = countsOf(output);
  passed += counts.passed + (code === 0 && counts.passed === 0 ? 1 : 0);
  failed += counts.failed + (code !== 0 && counts.failed === 0 ? 1 : 0);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Excludes the golden texts of the rules, which have no first line that names a shell. */
function isWritten(file: string): boolean {
  return !file.startsWith("test/golden/");
}

/** All tests except these folders. */
function without(...folders: readonly string[]): readonly string[] {
  return folders.flatMap((folder) => ["--path-ignore-patterns", `test/${folder}/**`]);
}

/** Runs a step, shows its output as it comes, and keeps it for the counts. */
async function run(step: Step): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...step.command, ...(step.files ?? [])], {
    cwd: step.cwd ?? ".",
    env: { ...process.env, TPROXY_EXECUTABLE: `${process.cwd()}/bin/tproxy` },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, error] = await Promise.all([
    child.exited,
    show(child.stdout),
    show(child.stderr),
  ]);
  return { code, output: out + error };
}

async function show(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** Bun prints " 12 pass" and " 0 fail" on lines of their own, Zig "4 pass (4 total)"; other tools count as one. */
function countsOf(output: string): { passed: number; failed: number } {
  return {
    passed: Number(/^ *(\d+) pass$/m.exec(output)?.[1] ?? 0),
    failed: Number(/^ *(\d+) fail$/m.exec(output)?.[1] ?? 0),
  };
}
