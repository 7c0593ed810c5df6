/** Runs test files as the gate does: `bun scripts/tests.ts FILE…`, deadlines and seeds from one place each. */
import { deadlineMs, hungMs } from "../test/support/deadline.ts";
import { gateRuns } from "../test/support/property-runs.ts";

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
