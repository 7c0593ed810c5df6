/** Runs test files as the gate does: `bun scripts/tests.ts FILE…`, with deadlines and seeds each from one place. */
import { deadlineMs, hungMs } from "../test/support/deadline.ts";
import { gateRuns } from "../test/support/property-runs.ts";
import { endWith } from "./usage.ts";

if (process.argv.length < 3 || process.argv.includes("--help")) {
  const usage = `Usage: bun scripts/tests.ts FILE...

Runs test files as the checks do: with deadlines that stretch with the machine's load, and a fixed seed. All options but
--help are those of "bun test". TPROXY_EXECUTABLE=$PWD/bin/tproxy tests the compiled program instead of the sources.

Options:
  --help    show this

Examples:
  bun scripts/tests.ts test/namespace/half-close.test.ts
  bun scripts/tests.ts test/unit --test-name-pattern address

Exit codes: 0 everything passed, 1 something failed, 2 no file was named.
`;
  endWith(usage, process.argv.length < 3 ? 2 : 0);
}

const child = Bun.spawn(
  [
    "bun",
    "test",
    "--timeout",
    String(deadlineMs(hungMs)),
    "--seed",
    String(gateRuns.seed),
    ...process.argv.slice(2),
  ],
  { stdin: "inherit", stdout: "inherit", stderr: "inherit" },
);
process.exitCode = await child.exited;
