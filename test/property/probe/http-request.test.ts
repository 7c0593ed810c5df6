/** Whatever passes as a probe is one, to any reader. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { HttpJudge, judgeRequest } from "../../../src/probe/http-request.ts";

const paths = ["/healthz"];
const whole = "GET /healthz?a=b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n";
const parts = fc.constantFrom(
  "\r\n",
  "\n",
  "\r",
  " ",
  "\t",
  ":",
  "\0",
  "GET",
  "POST",
  "/",
  "?",
  "#",
  "/healthz",
  "HTTP/1.1",
  "Host: a",
  "Content-Length: 0",
  "Content-Length: 5",
  "Transfer-Encoding: chunked",
  "x",
);

/** A probe with a few pieces put in or cut out. */
const mangled = fc
  .array(fc.record({ at: fc.nat(whole.length), cut: fc.nat(3), put: parts }), { maxLength: 4 })
  .map((edits) =>
    edits.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), whole),
  );

/** As the most lenient servers would: any line end, any blank. */
function leniently(text: string): { lines: number; path: string; body: boolean } {
  const lines = text.split(/\r\n|\r|\n/);
  const [, target = ""] = (lines[0] ?? "").trim().split(/\s+/);
  const body = /^\s*(content-length\s*:(?!\s*0\s*$)|transfer-encoding)/im.test(text);
  return { lines: lines.indexOf(""), path: target.replace(/\?.*/, ""), body };
}

test("what passes has one reading: the declared path, no body, nothing after", () => {
  fc.assert(
    fc.property(mangled, (text) => {
      if (judgeRequest(Buffer.from(text, "latin1"), paths) !== "probe") return;
      const { lines, path, body } = leniently(text);
      expect([path, body]).toEqual(["/healthz", false]);
      expect(text.split(/\r\n|\r|\n/).slice(lines)).toEqual(["", ""]);
    }),
    { numRuns: 5000 },
  );
});

test("arbitrary bytes are judged, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(judgeRequest(bytes, paths)).toBeDefined();
    }),
  );
});

test("it does not matter where a request is cut", () => {
  fc.assert(
    fc.property(mangled, fc.nat(whole.length), (text, at) => {
      const bytes = Buffer.from(text, "latin1");
      const [once, twice] = [new HttpJudge(paths), new HttpJudge(paths)];
      const expected = once.push(bytes);
      const first = twice.push(bytes.subarray(0, at));
      // Refused at once it may be for less: what comes after the request is not known yet.
      if (expected.kind === "pass") {
        expect(first.kind).toBe("pass");
        if (at < bytes.length) expect(twice.push(bytes.subarray(at))).toEqual(expected);
      } else if (first.kind === "pass") {
        expect(twice.push(bytes.subarray(at)).kind).toBe("refuse");
      }
    }),
  );
});
