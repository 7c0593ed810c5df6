/** A full conntrack table is reported once, and so is its end. */
import { expect, test } from "bun:test";

import { watchTracked, type Tracked } from "../../../src/status/conntrack.ts";
import type { Log } from "../../../src/runtime/log/log.ts";

test("a full table is reported once, with the remedy, and so is its end", async () => {
  const looks: (Tracked | null)[] = [
    null,
    { entries: 99, max: 100 },
    { entries: 100, max: 100 },
    { entries: 101, max: 100 },
    { entries: 95, max: 100 },
    { entries: 10, max: 100 },
    { entries: 10, max: 100 },
  ];
  const lines: string[] = [];
  const done = Promise.withResolvers<void>();
  const log: Log = {
    verbosity: 0,
    write: (severity, source, message) => {
      lines.push(`${severity} ${source} ${message}`);
    },
    writeMade: () => undefined,
    end: async () => await Promise.resolve(),
  };
  const read = (): Tracked | null => {
    const look = looks.shift() ?? null;
    if (looks.length === 0) done.resolve();
    return look;
  };
  const stop = watchTracked(log, read, 1);
  await done.promise;
  stop();
  expect(lines).toEqual([
    expect.stringMatching(/^E conntrack .*is full, 100 of 100: .*nf_conntrack_max/),
    "I conntrack the table has room again: 10 of 100 entries",
  ]);
});
