import { expect, test } from "bun:test";

import { normalizeArguments } from "../../../src/cli/arguments.ts";

test.each([
  [
    ["run", "-cert", "c.pem"],
    ["--cert", "c.pem"],
  ],
  [["-cert=c.pem"], ["--cert=c.pem"]],
  [["--cert=c.pem"], ["--cert=c.pem"]],
  [
    ["-ca-cert", "-"],
    ["--ca-cert", "-"],
  ],
  [
    ["-v", "2"],
    ["-v", "2"],
  ],
  [["-v=2"], ["-v2"]],
  [["-v2"], ["-v2"]],
  [["-h"], ["-h"]],
  [["-help"], ["--help"]],
  [
    ["rules", "-print"],
    ["rules", "--print"],
  ],
  [
    ["demo", "run"],
    ["demo", "run"],
  ],
  [
    ["-cert", "--", "-key"],
    ["--cert", "--", "-key"],
  ],
  [
    ["-tcp-port", "-1"],
    ["--tcp-port", "-1"],
  ],
])("%j is understood as %j", (given, meant) => {
  expect(normalizeArguments(given)).toEqual(meant);
});
