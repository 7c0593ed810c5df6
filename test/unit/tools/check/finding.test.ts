import { expect, test } from "bun:test";

import {
  bad,
  formatLines,
  formatSections,
  good,
  isWell,
  itemsOf,
  parseLines,
  warning,
} from "../../../../src/tools/check/finding.ts";

const findings = [
  good("probes", "seen"),
  warning("memory", "hm", "Look."),
  bad("shim", "a\tb\nc", "Do this."),
];

test("a warning does not fail the check, a bad finding does", () => {
  expect(isWell([{ title: "s", findings: findings.slice(0, 2) }])).toBe(true);
  expect(isWell([{ title: "s", findings }])).toBe(false);
});

test("the text output has a symbol, the observation and the remedy", () => {
  const text = formatSections([{ title: "Section", findings: findings.slice(0, 2) }], false);
  expect(text).toBe(
    "Section\n  ✓ probes: seen\n  ! memory: hm\n      Look.\n\n1 good, 1 warnings, 0 bad. The proxy can start.\n",
  );
});

test("programs get an item for each finding, with its id and its section", () => {
  expect(itemsOf([{ title: "s", findings: findings.slice(0, 2) }])).toEqual([
    { id: "probes", level: "good", message: "probes: seen", section: "s" },
    { id: "memory", level: "warning", message: "memory: hm", remedy: "Look.", section: "s" },
  ]);
});

test("lines between processes are read back, with tabs and line ends as spaces", () => {
  const [first, second] = findings;
  expect(parseLines(formatLines(findings))).toEqual([
    first,
    second,
    bad("shim", "a b c", "Do this."),
  ] as never);
  expect(parseLines("garbage\nbad\tx\ngood\tnone\ta\tb")).toEqual([]);
});
