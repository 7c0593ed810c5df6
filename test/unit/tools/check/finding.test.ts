import { expect, test } from "bun:test";

import {
  bad,
  formatLines,
  formatSections,
  formatSectionsJson,
  good,
  isWell,
  parseLines,
  warning,
} from "../../../../src/tools/check/finding.ts";

const findings = [
  good("one", "seen"),
  warning("two", "hm", "Look."),
  bad("three", "a\tb\nc", "Do this."),
];

test("a warning does not fail the check, a bad finding does", () => {
  expect(isWell([{ title: "s", findings: findings.slice(0, 2) }])).toBe(true);
  expect(isWell([{ title: "s", findings }])).toBe(false);
});

test("the text output has a symbol, the observation and the remedy", () => {
  const text = formatSections([{ title: "Section", findings: findings.slice(0, 2) }], false);
  expect(text).toBe(
    "Section\n  ✓ one: seen\n  ! two: hm\n      Look.\n\n1 good, 1 warnings, 0 bad. The proxy can start.\n",
  );
});

test("the JSON output is one object", () => {
  const parsed = JSON.parse(formatSectionsJson([{ title: "s", findings }])) as unknown;
  expect(parsed).toMatchObject({ ok: false, findings: [{ section: "s", level: "good" }, {}, {}] });
});

test("lines between processes are read back, with tabs and line ends as spaces", () => {
  const [first, second] = findings;
  expect(parseLines(formatLines(findings))).toEqual([
    first,
    second,
    bad("three", "a b c", "Do this."),
  ] as never);
  expect(parseLines("garbage\nbad\tx")).toEqual([]);
});
