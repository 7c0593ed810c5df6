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

test("a warning is no obstacle, a bad finding is", () => {
  expect(isWell([{ title: "s", findings: findings.slice(0, 2) }])).toBe(true);
  expect(isWell([{ title: "s", findings }])).toBe(false);
});

test("people get a sign, what was seen, and the remedy", () => {
  const text = formatSections([{ title: "Section", findings: findings.slice(0, 2) }], false);
  expect(text).toBe(
    "Section\n  ✓ one: seen\n  ! two: hm\n      Look.\n\n1 good, 1 warnings, 0 bad. The proxy can start.\n",
  );
});

test("programs get one object", () => {
  const parsed = JSON.parse(formatSectionsJson([{ title: "s", findings }])) as unknown;
  expect(parsed).toMatchObject({ ok: false, findings: [{ section: "s", level: "good" }, {}, {}] });
});

test("lines between processes read back, with tabs and line ends as spaces", () => {
  const [first, second] = findings;
  expect(parseLines(formatLines(findings))).toEqual([
    first,
    second,
    bad("three", "a b c", "Do this."),
  ] as never);
  expect(parseLines("garbage\nbad\tx")).toEqual([]);
});
