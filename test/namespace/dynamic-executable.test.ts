/** The executable without the static link, on a root that has glibc and nothing else: scripts/build.sh --dynamic. */
import { expect, test } from "bun:test";

import { EmptyRoot } from "../support/empty-root.ts";

const root = `${import.meta.dir}/../..`;
const built = Bun.spawnSync(["scripts/build.sh", "--dynamic"], { cwd: root });
if (built.exitCode !== 0) throw new Error(built.stderr.toString());

const dockerfile = await Bun.file(`${root}/Dockerfile`).text();
/** What the stage `distroless` copies. */
const glibc = dockerfile.match(/\/lib\S*\.so\.\d+/g) ?? [];

test("selftest passes beside the libraries of the distroless image alone, and leaves nothing", async () => {
  const emptyRoot = new EmptyRoot(`${root}/bin/tproxy-dynamic`);
  const selftest = ["selftest", "--handshakes", "100"];
  const { code, stdout, stderr, before, after } = await emptyRoot.run(selftest, {
    files: [...new Set(glibc)],
  });
  expect(stderr).toBe("");
  expect(stdout).toContain("9 good, 0 warnings, 0 bad. This executable works on this machine.");
  expect(code).toBe(0);
  expect(before).not.toContain("./tmp");
  expect(after).toBe(before);
});
