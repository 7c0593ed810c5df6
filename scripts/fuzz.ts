/** Property tests with seeds other than the gate's, for a limited time; failing files and seeds are kept as cases. */
import { appendFileSync, readFileSync } from "node:fs";

import { failedFiles, formatCase, parseCases, type Case } from "./fuzz/cases.ts";

const kept = "test/property/kept-seeds.txt";
const runsEach = 1000;
const minutesByDefault = 5;

const [argument = String(minutesByDefault)] = process.argv.slice(2);
if (argument === "--kept") await playAgain(parseCases(readFileSync(kept, "utf8")));
else if (Number(argument) > 0) await search(Number(argument));
else {
  console.error(`fuzz.sh: ${argument} is not a number of minutes`);
  process.exitCode = 2;
}

/** Round after round; a started round is finished. */
async function search(minutes: number): Promise<void> {
  const until = performance.now() + minutes * 60_000;
  let rounds = 0;
  let found = 0;
  while (performance.now() < until) {
    const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
    const { failed, output } = await play({ file: "test/property", seed, runs: runsEach });
    rounds += 1;
    found += failed.length;
    for (const file of failed) keep({ file, seed, runs: runsEach }, output);
    console.log(`fuzz: round ${rounds}, seed ${seed}: ${failed.length} files failed`);
  }
  console.log(`fuzz: ${rounds} rounds, ${found} failures`);
  process.exitCode = found === 0 ? 0 : 1;
}

function keep(one: Case, output: string): void {
  appendFileSync(kept, `${formatCase(one)}\n`);
  console.log(output);
  console.log(`fuzz: kept in ${kept}: ${formatCase(one)}`);
}

async function playAgain(cases: readonly Case[]): Promise<void> {
  let failed = 0;
  for (const one of cases) {
    const result = await play(one);
    if (result.failed.length === 0) continue;
    failed += 1;
    console.log(`${result.output}\nfuzz: fails again: ${formatCase(one)}`);
  }
  console.log(`fuzz: ${cases.length} kept cases played again, ${failed} fail`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** Runs one file or folder. A run that fails without a failed test (a crash) counts as a failure of all of it. */
async function play({
  file,
  seed,
  runs,
}: Case): Promise<{ failed: readonly string[]; output: string }> {
  const child = Bun.spawn(["bun", "scripts/tests.ts", file], {
    env: { ...process.env, TPROXY_SEED: String(seed), TPROXY_RUNS: String(runs) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, error] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const output = out + error;
  const failed = failedFiles(output);
  return { failed: code !== 0 && failed.length === 0 ? [file] : failed, output };
}
