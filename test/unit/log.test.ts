import { expect, test } from "bun:test";

import { escapeText, formatLine } from "../../src/log.ts";

test("a line has klog's header", () => {
  const line = formatLine(new Date(2026, 6, 29, 15, 34, 17, 34), "I", "outbound", "hello");
  expect(line).toMatch(/^I0729 15:34:17\.034000 +\d+ outbound\] hello\n$/);
});

test("text from outside forges no second line and moves no cursor", () => {
  expect(escapeText("a\nI0729 forged\r\u001B[2J\u2028")).toBe(
    String.raw`a\u000aI0729 forged\u000d\u001b[2J\u2028`,
  );
});
