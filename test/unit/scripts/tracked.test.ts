/** The tracked files that the gate's formatters and linters check. */
import { expect, test } from "bun:test";

import { allTracked, kindOf, trackedFiles } from "../../../scripts/tracked.ts";

/** Markdown: bunfig.toml says why. The others have no formatter here, or are written by programs. */
const without = [
  /\.(?:md|hex|txt|schema|lua|lock)$/,
  /(?:^|\/)(?:\.\w+ignore|\.\w+rc|Dockerfile)$/,
];

test("every tracked file has a formatter, or is of a kind that has none", () => {
  const unknown = allTracked().filter((file) => kindOf(file) === null);
  expect(unknown.filter((file) => !without.some((kind) => kind.test(file)))).toEqual([]);
});

test("a kind is recognised by the extension, or for a script without one by its first line", () => {
  expect(trackedFiles("shell")).toContain(".ci/run");
  expect(trackedFiles("shell")).toContain("scripts/test.sh");
  expect(trackedFiles("bun")).toContain("install.yaml");
  expect(trackedFiles("bun")).toContain(".oxlintrc.json");
  expect(trackedFiles("zig")).toContain("scripts/static/build.zig.zon");
  expect(kindOf("Dockerfile")).toBeNull();
});

test.each([["bun", "fmt"], ["zig", "fmt"], ["shfmt", "-i"], ["shellcheck"]])(
  "the gate runs %s %s",
  async (...words) => {
    const gate = await Bun.file(`${import.meta.dir}/../../../scripts/check.ts`).text();
    expect(gate).toContain(words.map((word) => JSON.stringify(word)).join(", "));
  },
);
