/** The executable alone on a machine: it needs no other file, and leaves nothing behind. */
import { chmodSync, copyFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { EmptyRoot } from "../support/empty-root.ts";
import { builtExecutable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** A copy: other users may not be allowed to run the original. */
const executable = `${temporaryDirectory()}/tproxy`;
copyFileSync(builtExecutable(), executable);
chmodSync(executable, 0o755);

const root = new EmptyRoot(executable);
const selftest = ["selftest", "--handshakes", "300"];
const whole = [".", "./dev", "./dev/null", "./etc", "./etc/hosts", "./proc", "./tproxy", ""];

const withoutCapabilities = [
  "setpriv",
  "--bounding-set=-all,+sys_chroot,+setuid,+setgid",
  "--inh-caps=-all",
  "--no-new-privs",
  "chroot",
];

test.each([
  ["root", ["chroot"]],
  ["root with only the capabilities for entering it", withoutCapabilities],
  ["user 65532 without any capability", [...withoutCapabilities, "--userspec=65532:65532"]],
] as const)("selftest passes in an empty, read-only root as %s", async (_, chroot) => {
  const { code, stdout, stderr, before, after } = await root.run(selftest, { chroot });
  expect(stderr).toBe("");
  expect(stdout).toContain("9 good, 0 warnings, 0 bad. This executable works on this machine.");
  expect(stdout).toContain("✓ names in /etc/hosts: localhost is 127.0.0.1");
  expect(stdout).toContain("✓ mutual TLS, and memory: 300 handshakes");
  expect(code).toBe(0);
  expect(before.split("\n")).toEqual(whole);
  expect(after).toBe(before);
});

test.each([
  ["has no address", ["ip", "addr", "flush", "dev", "lo"]],
  ["drops all packets", ["ip", "link", "set", "lo", "down"]],
])("selftest soon reports the defect where lo %s", async (_, before) => {
  const { code, stdout } = await root.run(selftest, { before });
  expect(stdout).toContain("✗ TCP over loopback");
  expect(stdout).toContain("✗ mutual TLS, and memory");
  expect(stdout).toContain("This executable does not work on this machine.");
  expect(code).toBe(1);
});

test.each([
  ["root", ["chroot"]],
  ["user 65532", ["chroot", "--userspec=65532:65532"]],
] as const)("the demo passes in an empty, read-only root as %s", async (_, chroot) => {
  const { code, stdout, stderr, before, after } = await root.run(["demo"], { chroot });
  expect(stderr).toBe("");
  expect(stdout).not.toContain("✗");
  expect(stdout).toContain("37 of 37 lines as expected");
  expect(code).toBe(0);
  expect(after).toBe(before);
});
