import fc from "fast-check";
import { expect, test } from "bun:test";

import { formatAnswer, parseHead } from "../../../src/status/request.ts";

test("any text is a request, an invalid one or an incomplete one, never an error", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (line, rest) => {
      const head = parseHead(`${line}\r\n${rest}`);
      if (head !== null && head !== "bad") expect(head.path).toStartWith("/");
    }),
  );
});

test("a request head is read however it is split, without its query", () => {
  const whole = "GET /readyz?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
  fc.assert(
    fc.property(fc.integer({ min: 0, max: whole.length - 1 }), (end) => {
      expect(parseHead(whole.slice(0, end))).toBeNull();
    }),
  );
  expect(parseHead(whole)).toEqual({ method: "GET", path: "/readyz" });
});

test("a head without an end is refused before it fills memory", () => {
  expect(parseHead("G".repeat(9000))).toBe("bad");
  expect(parseHead(`GET / HTTP/1.1\r\n${"a: b\r\n".repeat(2000)}`)).toBe("bad");
});

test("an answer has the length of its body in bytes", () => {
  const answer = formatAnswer({ status: 200, type: "text/plain", body: "ä\n" }, "GET");
  expect(answer).toContain("content-length: 3\r\n");
  expect(answer).toEndWith("\r\n\r\nä\n");
});
