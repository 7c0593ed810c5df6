/** The demo as users run it: compiled, as root and as an ordinary user, with no other dependency on the machine. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { expect, test } from "bun:test";

import { builtExecutable, requirePods, Running } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

requirePods();

/** A copy: the original's folder may not be readable to others, and the path identifies the demo's processes. */
const directory = temporaryDirectory();
const executable = `${directory}/tproxy`;
chmodSync(directory, 0o755);
copyFileSync(builtExecutable(), executable);

const nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

function start(...command: readonly string[]): Running {
  const env = { PATH: "/nonexistent", HOME: "/nonexistent" };
  const options = { stdin: "ignore", stdout: "pipe", stderr: "pipe", env } as const;
  return new Running(Bun.spawn([...command], options));
}

/** The demo's processes in all namespaces. */
function running(): readonly string[] {
  return readdirSync("/proc").filter(
    (name) => /^\d+$/.test(name) && programOf(name) === executable,
  );
}

function programOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return "";
  }
}

/** Everything but processes that a demo could leave on the machine. */
function traces(): unknown {
  const devices = readFileSync("/proc/self/net/dev", "latin1").match(/^ *(cable|br)[^:\s]*:/gm);
  const mounts = readFileSync("/proc/self/mountinfo", "latin1").match(/^.* tmpfs .*$/gm);
  const files = readdirSync("/tmp").filter((name) => /libtproxy|^demo/.test(name));
  return { devices, mounts, files };
}

test.each([
  ["root", []],
  ["an ordinary user", nobody],
] as const)("as %s, every line is as expected", async (_, prefix) => {
  const before = traces();
  const demo = start(...prefix, executable, "demo");
  const code = await demo.child.exited;
  await demo.says(/Next:/);
  expect(demo.output).not.toContain("✗");
  expect(demo.output).toContain("37 of 37 lines as expected");
  expect(code).toBe(0);
  expect(running()).toEqual([]);
  expect(traces()).toEqual(before);
});

test("without proxies the demo fails and names the lines that differ", async () => {
  const demo = start(
    process.execPath,
    `${import.meta.dir}/../support/demo-without-proxies.ts`,
    executable,
  );
  expect(await demo.child.exited).toBe(1);
  await demo.says(/Not everything was as expected/);
  expect(demo.output).toMatch(/✗ a plain client .* seen 200, and the application heard it/);
});

test.each([
  ["its start", /^/],
  ["its first line", /in namespaces of their own/],
  ["its proxies are ready", /pod b: GET/],
  ["its capture", /frames captured/],
  ["its last proxy is killed", /is killed/],
] as const)("killed after %s, the demo leaves nothing behind", async (_, moment) => {
  const before = traces();
  const demo = start(executable, "demo");
  await demo.says(moment);
  await demo.end("SIGKILL");
  while (running().length > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(traces()).toEqual(before);
});

test.each([
  ["its folder", directory, {}, "./tproxy"],
  ["the folder above", `${directory}/..`, {}, `${directory.split("/").at(-1) ?? ""}/tproxy`],
  ["another folder", "/", {}, `${directory.slice(1)}/tproxy`],
  ["a folder where its name is in PATH", "/proc", { PATH: `${directory}/bin` }, "tls-tproxy"],
] as const)(
  "started from %s, its last lines name commands that work as printed",
  async (...given) => {
    const [, cwd, env, command] = given;
    mkdirSync(`${directory}/bin`, { recursive: true });
    if (!existsSync(`${directory}/bin/tls-tproxy`))
      symlinkSync(executable, `${directory}/bin/tls-tproxy`);
    const options = { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe", env } as const;
    const demo = new Running(Bun.spawn([executable, "demo"], options));
    expect(await demo.child.exited).toBe(0);
    await demo.says(/Next:\n(.*\n)+$/);
    const shown = demo.output.slice(demo.output.indexOf("\nNext:\n") + "\nNext:\n".length);
    const commands = shown
      .trimEnd()
      .split("\n")
      .map((line) => line.trim().split(/ {2,}/)[0] ?? "");
    expect(commands.length).toBeGreaterThan(2);
    for (const typed of commands) {
      expect(typed).toStartWith(`${command} `);
      const { exitCode, stdout } = Bun.spawnSync(["/bin/sh", "-c", typed], { cwd, env });
      expect([typed, exitCode, stdout.length > 100]).toEqual([typed, 0, true]);
    }
  },
);
