/** Every script for users: its help, its errors, and its output to a pipe and to a terminal. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Glob } from "bun";
import { expect, test } from "bun:test";

import { mistakeIn } from "../../scripts/usage.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** The other two shell scripts are sourced. */
const sourced = new Set(["lib.sh", "setup.sh"]);
const inShell = readdirSync("scripts").filter((name) => name.endsWith(".sh") && !sourced.has(name));
const inTypeScript = [...new Glob("{scripts,test}/**/*.ts").scanSync(".")].filter(
  (path) =>
    /^Usage: /m.test(readFileSync(path, "utf8").replaceAll("`", "\n")) &&
    !path.includes("test/cli"),
);
const commands = [
  ...inShell.map((name) => `scripts/${name}`),
  ...inTypeScript.map((path) => `bun ${path}`),
];

type Ended = { readonly code: number; readonly out: string; readonly error: string };

/** Like a new user with a fresh clone: help must not install or build anything. */
function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): Ended {
  const HOME = temporaryDirectory();
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    stdin: "ignore",
    env: { PATH: process.env["PATH"] ?? "", HOME, ...env },
  });
  expect(readdirSync(HOME).filter((name) => name !== ".bun")).toEqual([]); // Bun's own cache.
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}

/** Runs it on a terminal, which script(1) provides. */
function onTerminal(command: string, env: Readonly<Record<string, string>>): string {
  const { out } = run(["script", "-qec", command, "/dev/null"], env);
  return out;
}

test("there are scripts of both kinds", () => {
  expect(inShell.length).toBeGreaterThan(8);
  expect(inTypeScript.length).toBeGreaterThan(3);
});

test.each(commands)("%s: --help has usage, options, examples and exit codes", (name) => {
  const command = name.split(" ");
  for (const flag of ["--help", ...(command[0] === "bun" ? [] : ["-h"])]) {
    const { code, out, error } = run([...command, flag]);
    expect([code, error]).toEqual([0, ""]);
    expect(out).toStartWith(`Usage: ${name}`);
    expect(out).toMatch(/\n\nOptions:\n( {2}-.*\n)+\n/);
    expect(out).toMatch(/\n\nExamples:\n( {2}.*\n)+\n/);
    expect(out).toMatch(/\nExit codes: 0 .* 2 /);
    expect(out).not.toContain("\u001B");
    expect(out.split("\n").filter((line) => line.length > 130)).toEqual([]);
  }
});

/** bun test checks the other options of tests.ts. */
test.each(commands.filter((name) => name !== "bun scripts/tests.ts"))(
  "%s: an unknown option is an error, and the message suggests the intended one",
  (name) => {
    const command = name.split(" ");
    for (const wrong of ["--hlep", "--help-me-please", "-x"]) {
      const { code, out, error } = run([...command, wrong]);
      expect([code, out]).toEqual([2, ""]);
      expect(error).toContain(wrong);
      expect(error).toContain(`--help`);
      expect(error).not.toContain("\u001B");
    }
    expect(run([...command, "--hlep"]).error).toMatch(/did you mean --help\?/i);
  },
);

test.each([
  [["scripts/build.sh", "bin/tproxy"], "too many arguments"],
  [["scripts/build.sh", "--dynamc"], "did you mean --dynamic?"],
  [["scripts/image.sh", "--zstd", "much"], "--zstd needs a level"],
  [["scripts/image.sh", "--zstd"], "--zstd needs a level"],
  [["scripts/image.sh", "one", "two"], "too many arguments"],
  [["scripts/engine.sh", "dwon"], "did you mean down?"],
  [["scripts/engine.sh", "run"], "which command?"],
  [["scripts/bench.sh", "--round", "3"], "did you mean --rounds?"],
  [["bun", "scripts/rotation.ts", "1", "2"], "too many arguments"],
] as const)("%j is an error: %s", (command, says) => {
  const { code, out, error } = run(command);
  expect([code, out]).toEqual([2, ""]);
  expect(error).toContain(says);
});

test("an option and its value are not counted as arguments", () => {
  const usage = "Usage: x [NAME]\n\n  --kept    keep\n  --help    show this\n";
  expect(mistakeIn(["name"], usage, 1)).toBeNull();
  expect(mistakeIn(["--kept", "name"], usage, 1)).toBeNull();
  expect(mistakeIn(["--kpt"], usage, 1)).toBe("there is no option --kpt: did you mean --kept?");
  expect(mistakeIn(["--entirely-other"], usage, 1)).toBe("there is no option --entirely-other");
});

/** Steps like those of the set-up, with commands that take no time. */
const steps = `
  set -euo pipefail
  source scripts/lib.sh
  start_step slow "the slow one" bash -c 'echo unseen; exec sleep 0.3'
  step "the quick one" true
  await_step slow
  step "the failing one" bash -c 'echo why it failed; exit 3'
  echo "not reached"`;

test("in a pipe a step prints a line at its start and at its end, without control characters", () => {
  const { code, out, error } = run(["bash", "-c", steps]);
  expect([code, out]).toEqual([1, ""]);
  expect(error).toMatch(
    /^==> the slow one\n==> the quick one\n✓ the quick one: \d+\.\d s\n✓ the slow one: \d+\.\d s\n==> the failing one\nwhy it failed\nbash: the failing one: failed with exit code 3.*\n$/,
  );
});

test("on a terminal one live line names the running step, in colour unless NO_COLOR is set", () => {
  const path = `${temporaryDirectory()}/steps.sh`;
  writeFileSync(path, steps);
  const coloured = onTerminal(`bash ${path}`, { TERM: "xterm" });
  expect(coloured).toMatch(/\r.\[K.*the slow one.* 0 s/);
  expect(coloured).toContain("\u001B[32m✓\u001B[0m the slow one");
  const plain = onTerminal(`bash ${path}`, { TERM: "xterm", NO_COLOR: "1" });
  expect(plain).toContain("\u001B[K");
  expect(plain).not.toMatch(/\[[\d;]*m/);
  const dumb = onTerminal(`bash ${path}`, { TERM: "dumb" });
  expect(dumb).not.toContain("\u001B");
  expect(dumb).toContain("==> the slow one");
});

test("a script that is stopped ends its steps", async () => {
  const marker = `0.${process.pid}${Math.floor(performance.now())}`;
  const script = `source scripts/lib.sh; step "a step" sleep 6${marker}`;
  const child = Bun.spawn(["bash", "-c", script], { stdout: "ignore", stderr: "ignore" });
  const sleeping = (): boolean =>
    readdirSync("/proc").some(
      (pid) => /^\d+$/.test(pid) && commandOf(pid) === ["sleep", `6${marker}`, ""].join("\0"),
    );
  while (!sleeping()) await new Promise((resolve) => setImmediate(resolve));
  child.kill("SIGTERM");
  expect(await child.exited).toBe(143);
  while (sleeping()) await new Promise((resolve) => setImmediate(resolve));
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
