import { expect, test } from "bun:test";
import fc from "fast-check";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { parseSpiffeId } from "../../../src/identity/spiffe-id.ts";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_".split("");
const word = fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 20 });

test("a trust domain with plain segments is an ID, a trust domain alone is not", () => {
  fc.assert(
    fc.property(word, fc.array(word, { minLength: 1, maxLength: 8 }), (domain, path) => {
      const text = ["spiffe:/", domain, ...path].join("/");
      expect<string>(parseSpiffeId(text)).toBe(text);
      expect(() => parseSpiffeId(`spiffe://${domain}`)).toThrow("it has no path");
    }),
  );
});

test("any text is refused, or an ID of harmless characters", () => {
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
  ["http://a/b", "does not begin with spiffe://"],
  ["SPIFFE://a/b", "scheme is not in lower case"],
  ["spiffe:///b", "no trust domain"],
  ["spiffe://A/b", "trust domain is not in lower case"],
  ["spiffe://a:1/b", "has a port"],
  ["spiffe://a/%62", "percent-encoded"],
  ["spiffe://a/b?c", "has a query"],
  ["spiffe://a/b#c", "has a fragment"],
  ["spiffe://u@a/b", "user information"],
  ["spiffe://a/b\0", "has a NUL"],
  ["spiffe://a/b/", "ends with a slash"],
  ["spiffe://a//b", "an empty segment"],
  ["spiffe://a/.", "a segment of dots"],
  ["spiffe://a/../b", "a segment of dots"],
  ["spiffe://a/b c", "path has a forbidden character"],
  ["spiffe://ä/b", "trust domain has a forbidden character"],
  [`spiffe://a/${"b".repeat(2048)}`, "longer than 2048"],
] as const)("%p is refused: %s", (text, says) => {
  expect(() => parseSpiffeId(text)).toThrow(says);
});
