/** The benchmark: argv in, a table out, and files on request. `scripts/bench.sh` installs what it needs. */
import { writeFileSync } from "node:fs";

import { chosen, helpOf, parse, type Arguments } from "./arguments.ts";
import { cases } from "./cases.ts";
import { chartLibrary } from "./chart-library.ts";
import { describeMachine, roundsText } from "./describe.ts";
import { interruptible } from "./interruption.ts";
import { lookAtMachine } from "./machine.ts";
import { usageOfOthers, usedBetween } from "./processes.ts";
import { profile } from "./profile.ts";
import { report } from "./report.ts";
import type { Run } from "./results.ts";
import { Bench } from "./run.ts";
import { systems } from "./systems.ts";
import { table, warning } from "./table.ts";
import { outcomesOf } from "./targets.ts";
import { targetsText } from "./targets-text.ts";

/** A shorter time gives too few samples. */
const profileSecondsMin = 5;

const parsed = parse(process.argv.slice(2), cases);
switch (parsed.kind) {
  case "help":
    process.stdout.write(helpOf(cases));
    break;
  case "mistake":
    console.error(`bench: ${parsed.text}\n\n${helpOf(cases)}`);
    process.exitCode = 2;
    break;
  case "run":
    process.exitCode = await interruptible(async (stop) => await start(parsed.arguments, stop));
    break;
}

async function start(wanted: Arguments, stop: AbortSignal): Promise<number> {
  const profiled = cases.find(({ name }) => name === wanted.profile);
  if (profiled === undefined) return await bench(wanted, stop);
  await profile(profiled, Math.max(profileSecondsMin, wanted.seconds), stop);
  return 0;
}

/** The exit code: 1 if anything failed. */
async function bench(wanted: Arguments, stop: AbortSignal): Promise<number> {
  const machine = lookAtMachine(wanted.peers);
  console.error(describeMachine(machine));
  const taking = systems.filter(({ peer }) => wanted.peers || !peer);
  const plan = { cases: chosen(wanted, cases), systems: taking, arguments: wanted, stop };
  const running = new Bench(plan, (line) => {
    console.error(line);
  });
  const before = usageOfOthers();
  const began = performance.now();
  try {
    await running.run();
  } finally {
    await running.dispose();
  }
  stop.throwIfAborted();
  const others = usedBetween(before, usageOfOthers());
  const run: Run = {
    date: new Date().toISOString(),
    ...wanted,
    machine,
    others: {
      cores: (others.seconds * 1000) / (performance.now() - began),
      who: others.who
        .slice(0, 3)
        .map((one) => `${one.name} (${one.pid}) ${one.seconds.toFixed(0)} s`),
    },
    rows: running.rows,
  };
  show(run, wanted);
  for (const failure of running.failures) console.error(`bench: ${failure}`);
  return running.failures.length === 0 ? 0 : 1;
}

function show(run: Run, files: Arguments): void {
  console.log(`${run.date}, ${roundsText(run)}`);
  console.log(`${describeMachine(run.machine)}\n`);
  for (const { title, about } of systems.filter(({ name }) =>
    run.rows.some((row) => row.system === name),
  ))
    console.log(`  ${title.padEnd(12)}  ${about}`);
  console.log(`\n${table(run, systems)}`);
  process.stdout.write(targetsText(outcomesOf(run, systems)));
  const disturbed = warning(run);
  if (disturbed !== null) console.log(disturbed);
  if (files.json !== null) writeFileSync(files.json, `${JSON.stringify(run, null, 2)}\n`);
  if (files.html !== null) writeFileSync(files.html, report(run, systems, chartLibrary()));
}
