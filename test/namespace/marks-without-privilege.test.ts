/** A start without the right to mark sockets fails, instead of failing each connection. */
import { expect, test } from "bun:test";

import { capability } from "../../src/native/privileges.ts";

function markable(...kept: readonly number[]): string {
  const script = `${import.meta.dir}/../support/confined.ts`;
  const { stdout, stderr } = Bun.spawnSync(["bun", script, ...kept.map(String)]);
  expect(stderr.toString()).toBe("");
  return stdout.toString().trim();
}

test("with CAP_NET_RAW or CAP_NET_ADMIN sockets can be marked", () => {
  expect(markable(capability.netRaw)).toBe("yes");
  expect(markable(capability.netAdmin)).toBe("yes");
});

test("without both the error names the kernel's version and the option", () => {
  expect(markable(capability.netBindService)).toMatch(
    /^START_FAILED: --privileges dropped: .*Linux 5\.17 or later, or --privileges kept$/,
  );
});
