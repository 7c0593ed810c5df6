/** The cases that the fuzzer keeps, and its parser of a run's output. */
import { expect, test } from "bun:test";

import { failedFiles, formatCase, parseCases } from "../../../scripts/fuzz/cases.ts";

const one = { file: "test/property/net/cidr.test.ts", seed: -12, runs: 1000 };

test("a kept case is read back", () => {
  expect(parseCases(`# a comment\n\n${formatCase(one)}\n`)).toEqual([one]);
});

test("a line in another form is refused, not ignored", () => {
  expect(() => parseCases("test/property/net/cidr.test.ts 12")).toThrow("not FILE SEED RUNS");
});

test("a file with a failed test is named once, others are not", () => {
  const output = [
    "test/property/a.test.ts:",
    "(pass) fine",
    "(fail) wrong [1.00ms]",
    "(fail) wrong as well",
    "test/property/b.test.ts:",
    "(pass) fine",
  ].join("\n");
  expect(failedFiles(output)).toEqual(["test/property/a.test.ts"]);
});
