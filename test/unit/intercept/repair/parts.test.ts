/** The repair process's input, and that both sides interpret it alike. */
import { expect, test } from "bun:test";

import { encodeCommand } from "../../../../src/intercept/repair/frames.ts";
import { part, partsOf } from "../../../../src/intercept/repair/parts.ts";
import { planOf } from "../../../../src/intercept/rules/plan.ts";
import {
  answeringPorts,
  dialled,
  fleetingSets,
  openBefore,
  servedPorts,
} from "../../../../src/intercept/rules/sets.ts";
import { aliases } from "../../../../src/net/alias.ts";
import { defaults, everything } from "../../../support/interceptions.ts";

const folder = `${import.meta.dir}/../../../../ffi/src`;
const numbers = await Bun.file(`${folder}/repair_numbers.zig`).text();
const next = await Bun.file(`${folder}/repair_next.zig`).text();

test("names and numbers match those of the repair process", () => {
  const { table, routing } = planOf(defaults);
  expect(numbers).toContain(`table = "${table}\\x00"`);
  expect(numbers).toContain(`routing_table = ${String(routing.table).replace("29", "29_")}`);
  expect(numbers).toContain(`rule_priority = ${routing.priority}`);
  const named = [...numbers.matchAll(/\.set = "([^"\\]+)\\x00"/g)].map(([, set]) => set ?? "");
  expect(named.toSorted()).toEqual([...fleetingSets].toSorted());
  expect(named.slice(0, 4)).toEqual([...Object.values(openBefore), ...Object.values(dialled)]);
  expect([named[4], named[5]]).toEqual([answeringPorts, servedPorts]);
  expect(numbers).toContain(`alias4 = [4]u8{ ${aliases[4].join(", ")} }`);
  const [, listed = ""] = /alias6 = \[16\]u8\{ ([^}]+) \}/.exec(numbers) ?? [];
  expect(listed.split(", ").map(Number)).toEqual([...aliases[6]]);
  expect(next).toContain(`const count = ${Object.keys(part).length};`);
});

test("every part is loaded once", () => {
  for (const interception of [defaults, everything]) {
    const loaded = partsOf(interception, { known: new Map(), devices: [] }).map((one) =>
      one.kind === "load" ? one.part : -1,
    );
    expect(loaded).toEqual(Object.values(part));
  }
});

test("a frame starts with its kind, its argument and its length", () => {
  const bytes = Uint8Array.of(7, 8, 9);
  const frame = encodeCommand({ kind: "load", part: 3, bytes });
  expect([...frame]).toEqual([1, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 7, 8, 9]);
});
