/** The output when bytes differ from the golden ones. */
import { expect, test } from "bun:test";

import { differenceOf } from "../support/golden.ts";

const golden = (await Bun.file(`${import.meta.dir}/defaults.hex`).text())
  .trimEnd()
  .split("\n")
  .slice(1);
const register = "0800010000000001"; // Attribute 1 with a value of four bytes.
const rule = golden.find((line) => line.startsWith("2566 ") && line.includes(register)) ?? "";
const at = golden.indexOf(rule) + 1;

test("the same bytes have no difference", () => {
  expect(differenceOf(golden, golden)).toBe("");
});

test("one wrong byte is shown at its attribute, in the whole message", () => {
  const wrong = rule.replace(register, "0800010000000009");
  const lines = differenceOf(golden, golden.with(at - 1, wrong)).split("\n");
  expect(lines[0]).toBe(`1 of ${golden.length} messages differ (- golden, + ours):`);
  expect(lines.slice(2, 5)).toEqual([`message ${at}:`, "  new rule (2566)", "    family: 01"]);
  expect(lines).toContain('    table: "tls-tproxy"');
  const [gone, come, ...more] = lines.filter((line) => /^[-+]/.test(line));
  expect(gone).toMatch(/^- {5,}[a-z ]+: 00000001$/);
  expect(come).toBe(gone?.replace("-", "+").replace("00000001", "00000009") ?? "");
  expect(more).toEqual([]);
});

test("a missing message is shown whole, and no other", () => {
  const lines = differenceOf(golden, golden.toSpliced(at - 1, 1)).split("\n");
  expect(lines[0]).toStartWith("1 of ");
  expect(lines.slice(3).every((line) => line.startsWith("- "))).toBe(true);
  expect(lines).toContain("-   expressions");
});

test("an extra message is shown whole, and no other", () => {
  const lines = differenceOf(golden, golden.toSpliced(at, 0, "2562 010000000f000100746c73")).split(
    "\n",
  );
  expect(lines.slice(3)).toEqual([
    "+ delete table (2562)",
    "+   family: 01",
    "+   version: 00",
    "+   resource: 0000",
    "+   no attribute: 0f000100746c73",
  ]);
});

test("of many differences the first three are shown, and the others counted", () => {
  const text = differenceOf(
    golden,
    golden.map((line) => `${line}00000000`),
  );
  expect(text.match(/^message \d+:$/gm)).toHaveLength(3);
  expect(text).toEndWith(`\n\nand ${golden.length - 3} more`);
});
