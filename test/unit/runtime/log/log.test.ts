import { expect, test } from "bun:test";

import { escapeText } from "../../../../src/runtime/log/escape.ts";
import { formatJson, formatText } from "../../../../src/runtime/log/format.ts";
import { makeLog, type Log } from "../../../../src/runtime/log/log.ts";

const micros = new Date(2026, 6, 29, 15, 34, 17, 34).getTime() * 1000 + 15;
const line = { micros, severity: "I", source: "outbound", message: "hello", fields: {} } as const;

class Lines {
  readonly all: string[] = [];
  write(text: string): void {
    this.all.push(text);
  }
  writeLater(text: string): void {
    this.all.push(text);
  }
  async end(): Promise<void> {
    await Promise.resolve();
  }
}

test("a line has klog's header, with microseconds", () => {
  expect(formatText(line)).toMatch(/^I0729 15:34:17\.034015 +\d+ outbound\] hello\n$/);
});

test("a JSON line is one object with the fields beside the message", () => {
  const text = formatJson({ ...line, message: "a\u009B\nb", fields: { peer: "x\u2028", ms: 3 } });
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u2028]/);
  expect(JSON.parse(text)).toEqual({
    time: new Date(micros / 1000).toISOString().replace("034Z", "034015Z"),
    level: "info",
    pid: process.pid,
    source: "outbound",
    message: "a\u009B\nb",
    peer: "x\u2028",
    ms: 3,
  });
});

test("foreign text forges no second line and moves no cursor", () => {
  expect(escapeText("a\nI0729 forged\r\u001B[2J\u2028")).toBe(
    String.raw`a\u000aI0729 forged\u000d\u001b[2J\u2028`,
  );
});

test("a suppressed line is not composed, and its fields appear only in JSON", () => {
  const lines = new Lines();
  const made: string[] = [];
  const note = (name: string): Parameters<Log["writeMade"]>[2] => ({
    message: () => (made.push(`message ${name}`), name),
    fields: () => (made.push(`fields ${name}`), { ms: 3 }),
  });
  for (const format of ["text", "json"] as const) {
    const log = makeLog({ verbosity: 0, format, linesMax: 1 }, lines);
    for (const turn of [1, 2]) log.writeMade("I", "inbound", note(`${format} ${turn}`));
  }
  expect(made).toEqual(["message text 1", "fields json 1", "message json 1"]);
  expect(lines.all[1]).toContain('"ms":3');
});

test("a flood of one kind of line is thinned out and counted, other kinds are not", async () => {
  const lines = new Lines();
  const log = makeLog({ verbosity: 0, format: "text", linesMax: 3 }, lines);
  for (let index = 0; index < 10; index += 1) log.write("I", "inbound", `line ${index}`);
  log.write("E", "inbound", "an error");
  log.write("I", "outbound", "another");
  await log.end();
  expect(lines.all).toHaveLength(6);
  expect(lines.all.join("")).toContain("an error");
  expect(lines.all[5]).toContain("left out 7 lines in the last second: inbound/I=7");
});
