/** The demo as people run it: compiled, as root and as an ordinary user, with nothing else on the machine. */
import { chmodSync, copyFileSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "bun:test";

import { builtExecutable, requirePods, Running } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

requirePods();

/** A copy of its own: nobody may read the original's folder, and its processes are known by it. */
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

/** Processes of the demo, in whatever namespaces. */
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

/** What a demo could leave on the machine besides processes. */
function traces(): unknown {
  const devices = readFileSync("/proc/self/net/dev", "latin1").match(/^ *(cable|br)[^:\s]*:/gm);
  const mounts = readFileSync("/proc/self/mountinfo", "latin1").match(/^.* tmpfs .*$/gm);
  const files = readdirSync("/tmp").filter((name) => /libtproxy|^demo/.test(name));
  return { devices, mounts, files };
}

test.each([
  ["root", []],
  ["an ordinary user", nobody],
] as const)("every line is as expected for %s", async (_, prefix) => {
  const before = traces();
  const demo = start(...prefix, executable, "demo");
  const code = await demo.child.exited;
  await demo.says(/Next: tls-tproxy/);
  expect(demo.output).not.toContain("✗");
  expect(demo.output).toContain("37 of 37 lines as expected");
  expect(code).toBe(0);
  expect(running()).toEqual([]);
  expect(traces()).toEqual(before);
});

test("without proxies it fails, and says which lines", async () => {
  const demo = start(executable, "demo", "--sabotage");
  expect(await demo.child.exited).toBe(1);
  await demo.says(/Not everything was as expected/);
  expect(demo.output).toMatch(/✗ a plain client .* seen 200, and the application heard it/);
});

test.each([
  ["it has shown anything", /^/],
  ["its first line", /in namespaces of their own/],
  ["its proxies are ready", /pod b: GET/],
  ["its capture", /frames captured/],
  ["its last proxy is killed", /is killed/],
] as const)("killed after %s nothing of it is left", async (_, moment) => {
  const before = traces();
  const demo = start(executable, "demo");
  await demo.says(moment);
  await demo.end("SIGKILL");
  while (running().length > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(traces()).toEqual(before);
});
