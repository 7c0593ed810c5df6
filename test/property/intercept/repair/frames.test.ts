/** Reports of the repair process are read correctly however they are split. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../../src/runtime/errors.ts";
import { ReportReader, type RepairReport } from "../../../../src/intercept/repair/frames.ts";
import { concat, u32 } from "../../../../src/netlink/wire.ts";

/** One element in each of the four sets. */
const restored = concat(
  ...[2, 5, 136, 1, 900, 1, 1, 1, 1].map(u32),
  ...[16, 40, 16, 40].map((size) => new Uint8Array(size).fill(size)),
);
const stream = concat(
  ...[1, 1, 8, 4711, 4712].map(u32),
  restored,
  ...[3, 105, 0].map(u32),
  ...[4, 0, 16, 0, 0, 0, 0].map(u32),
  ...[5, 2, 0].map(u32),
);

test("reports are the same however their bytes are split", () => {
  const whole = new ReportReader().read(stream);
  expect(whole.map(({ kind }) => kind)).toEqual([
    "ready",
    "restored",
    "failed",
    "done",
    "destroyed",
  ]);
  expect(whole[1]).toMatchObject({ repairs: 5, table: true, microseconds: 900 });
  const cuts = fc.array(fc.nat(stream.length));
  fc.assert(
    fc.property(cuts, (at) => {
      const reader = new ReportReader();
      const ends = [...at.toSorted((a, b) => a - b), stream.length];
      const reports: RepairReport[] = [];
      for (const [index, end] of ends.entries())
        reports.push(...reader.read(stream.subarray(ends[index - 1] ?? 0, end)));
      expect(reports).toEqual([...whole]);
    }),
  );
});

test("any bytes are reports, incomplete, or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        new ReportReader().read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
  );
});
