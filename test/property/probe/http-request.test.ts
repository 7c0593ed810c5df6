/** A request that passes as a probe is a probe to every reader. */
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
  "\r\nTransfer_Encoding: chunked\r\n",
  "\r\nX_Original_URL: /secret\r\n",
  "\r\nx.http-method~override: DELETE\r\n",
  "_",
  "-",
  "\u0085",
  "\u000B",
  "x",
);

/** A probe with a few pieces inserted or removed. */
const mangled = fc
  .array(fc.record({ at: fc.nat(whole.length), cut: fc.nat(3), put: parts }), { maxLength: 4 })
  .map((edits) =>
    edits.reduce((text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut), whole),
  );

type Reading = {
  readonly target: string;
  readonly fields: ReadonlySet<string>;
  readonly rest: string;
};

/** Reads like the most lenient servers: any line end, any white space, and names as CGI turns them into variables. */
function leniently(text: string, lineEnd: RegExp): Reading {
  const lines = text.split(lineEnd);
  const end = lines.indexOf("");
  const [, target = ""] = (lines[0] ?? "").trim().split(/\s+/);
  const fields = lines.slice(1, end).map((line) => {
    const [name = "", ...values] = line.split(":");
    return `${name
      .trim()
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]/g, "_")}=${values.join(":").trim()}`;
  });
  return { target, fields: new Set(fields), rest: lines.slice(end).join() };
}

/** RFC 9112's line ends, and those of Python's `splitlines` for Latin-1 and UTF-8. */
const lineEnds = [
  { encoding: "latin1", lineEnd: /\r\n|\r|\n/ },
  // oxlint-disable-next-line no-control-regex -- these end lines
  { encoding: "latin1", lineEnd: /\r\n|[\n\u000B-\r\u001C-\u001E\u0085]/ },
  // oxlint-disable-next-line no-control-regex -- these end lines
  { encoding: "utf8", lineEnd: /\r\n|[\n\u000B-\r\u001C-\u001E\u0085\u2028\u2029]/ },
] as const;
const changing =
  /^(CONTENT_LENGTH=(?!0$)|TRANSFER_ENCODING=|X_ORIGINAL_URL=|X_HTTP_METHOD_OVERRIDE=)/;

test("what passes has one reading: the declared path, no body, no other method, nothing after it", () => {
  fc.assert(
    fc.property(mangled, (text) => {
      if (judgeRequest(Buffer.from(text, "latin1"), paths) !== "probe") return;
      for (const { encoding, lineEnd } of lineEnds) {
        const read = leniently(Buffer.from(text, "latin1").toString(encoding), lineEnd);
        expect(read.target.replace(/\?.*/, "")).toBe("/healthz");
        expect([...read.fields].filter((field) => changing.test(field))).toEqual([]);
        expect(read.rest).toBe(",");
      }
    }),
    { numRuns: 5000 },
  );
});

test("a name that only starts like another's is a different name", () => {
  const text = whole.replace("Accept", "Transfer-EncodingTransfer-Encoding");
  expect(judgeRequest(Buffer.from(text), paths)).toBe("probe");
});

test("any bytes are judged without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(judgeRequest(bytes, paths)).toBeDefined();
    }),
  );
});

test("the result does not depend on how a request is split", () => {
  fc.assert(
    fc.property(mangled, fc.nat(whole.length), (text, at) => {
      const bytes = Buffer.from(text, "latin1");
      const [once, twice] = [new HttpJudge(paths), new HttpJudge(paths)];
      const expected = once.push(bytes);
      const first = twice.push(bytes.subarray(0, at));
      // An immediate refusal may have another reason: the bytes after the request are not known yet.
      if (expected.kind === "pass") {
        expect(first.kind).toBe("pass");
        if (at < bytes.length) expect(twice.push(bytes.subarray(at))).toEqual(expected);
      } else if (first.kind === "pass") {
        expect(twice.push(bytes.subarray(at)).kind).toBe("refuse");
      }
    }),
  );
});
