/** The executable without the static link (scripts/build.sh --dynamic), on a root with glibc and nothing else. */
import { expect, test } from "bun:test";

import { EmptyRoot } from "../support/empty-root.ts";

const root = `${import.meta.dir}/../..`;
const built = Bun.spawnSync(["scripts/build.sh", "--dynamic"], { cwd: root });
if (built.exitCode !== 0) throw new Error(built.stderr.toString());

const dockerfile = await Bun.file(`${root}/Dockerfile`).text();
/** The libraries that the Dockerfile's stage `distroless` copies. */
const glibc = dockerfile.match(/\/lib\S*\.so\.\d+/g) ?? [];

test("selftest passes with only the libraries of the distroless image, and leaves nothing behind", async () => {
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
