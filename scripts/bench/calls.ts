/** System calls that processes make while something runs, counted by perf-stat(1). */
import { temporaryDirectory } from "../../test/support/temporary.ts";

/** `work` begins when the counter runs and ends before it stops. Throws if perf(1) is missing or may not count. */
export async function countCalls<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly calls: number }> {
  const file = `${temporaryDirectory()}/perf-stat`;
  const perf = startPerf(pids, file);
  try {
    const { value } = await perf.stdout.getReader().read();
    if (value === undefined) throw await failureOf(perf);
    const result = await work();
    await perf.stdin.end();
    if ((await perf.exited) !== 0) throw await failureOf(perf);
    return { result, calls: callsIn(await Bun.file(file).text()) };
  } finally {
    perf.kill();
    await perf.exited;
  }
}

type Perf = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** perf enables its counters before the command starts and stops with it: the command speaks, then waits for us. */
function startPerf(pids: readonly number[], file: string): Perf {
  const command = ["sh", "-c", "echo counting; exec cat"];
  return Bun.spawn(
    ["perf", "stat", "-x,", "-o", file, "-e", event, "-p", pids.join(","), "--", ...command],
    { stdin: "pipe", stdout: "pipe", stderr: "pipe" },
  );
}

async function failureOf(perf: Perf): Promise<Error> {
  return new Error(`perf stat: ${await new Response(perf.stderr).text()}`);
}

/** The first field of the event's line; other words there mean that nothing was counted. */
function callsIn(text: string): number {
  const line = text.split("\n").find((each) => each.includes(event)) ?? "";
  const calls = Number(line.split(",")[0]);
  if (!Number.isInteger(calls) || line === "") throw new Error(`perf stat: ${text}`);
  return calls;
}

const event = "raw_syscalls:sys_enter";
