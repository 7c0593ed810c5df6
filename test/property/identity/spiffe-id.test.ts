import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/errors.ts";
import { parseSpiffeId } from "../../../src/identity/spiffe-id.ts";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_".split("");
const word = fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 20 });

test("a trust domain and plain segments are an ID", () => {
  fc.assert(
    fc.property(word, fc.array(word, { maxLength: 8 }), (domain, path) => {
      const text = ["spiffe:/", domain, ...path].join("/");
      expect<string>(parseSpiffeId(text)).toBe(text);
    }),
  );
});

test("any text is an ID of harmless characters or refused", () => {
  const likely = fc.string({ unit: fc.constantFrom(..."ab./:%?#@-\n\u0000Ä".split("")) });
  fc.assert(
    fc.property(fc.oneof(fc.string(), likely), fc.boolean(), (text, prefixed) => {
      try {
        expect(parseSpiffeId(prefixed ? `spiffe://a/${text}` : text)).toMatch(/^[\w:/.-]+$/);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
      }
    }),
    { numRuns: 2000 },
  );
});

test.each([
  "spiffe://a/.",
  "spiffe://a/..",
  "spiffe://a/b/",
  "spiffe://A/b",
  "spiffe://a:1/b",
  `spiffe://a/${"b".repeat(2048)}`,
])("%s is refused", (text) => {
  expect(() => parseSpiffeId(text)).toThrow(ProxyError);
});
