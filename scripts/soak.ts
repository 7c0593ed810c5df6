/**
 * Everything that the tests do separately, mixed at random for some minutes: every stream's sha256 is compared, every
 * end must be an intended one, and nothing may be left. `soak.ts [minutes] [seed]`; exit code 1 if not.
 */
import { perform } from "../test/support/soak/actions.ts";
import { Seeded } from "../test/support/soak/seeded.ts";
import { Stage } from "../test/support/soak/stage.ts";

const [minutes = "1", seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const workers = 12;

if (Number(minutes) > 0 && Number.isInteger(Number(seed))) {
  process.exitCode = await soak(Number(minutes) * 60_000, new Seeded(Number(seed)));
} else {
  console.error("soak: usage: soak.sh [minutes] [seed]");
  process.exitCode = 2;
}

/** The exit code. */
async function soak(milliseconds: number, random: Seeded): Promise<number> {
  console.log(`soak: ${minutes} min, seed ${seed}, ${workers} workers`);
  const stage = await Stage.set();
  try {
    const until = performance.now() + milliseconds;
    const seeds = Array.from({ length: workers }, () => random.integer(0, 2 ** 31));
    await Promise.all([
      stage.watch(until),
      ...seeds.map(async (one) => {
        const own = new Seeded(one);
        while (performance.now() < until) await perform(stage, own);
      }),
    ]);
    await stage.settle();
    console.log(stage.tally.table());
    return stage.tally.violations.length === 0 ? 0 : 1;
  } finally {
    await stage.strike();
  }
}
