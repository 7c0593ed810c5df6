import fc from "fast-check";
import { expect, test } from "bun:test";

import { parseSpiffeId } from "../../../src/identity/spiffe-id.ts";
import { matches, parseIdPattern } from "../../../src/policy/id-pattern.ts";

const segment = fc.string({
  unit: fc.constantFrom(..."abz09-_".split("")),
  minLength: 1,
  maxLength: 6,
});
const path = fc.array(segment, { minLength: 1, maxLength: 6 });

test("an ID matches itself, and itself with any segment replaced by *", () => {
  fc.assert(
    fc.property(path, fc.nat(), (segments, nat) => {
      const id = parseSpiffeId(["spiffe://a.example", ...segments].join("/"));
      const starred = segments.with(nat % segments.length, "*");
      expect(matches(parseIdPattern(id), id)).toBe(true);
      expect(matches(parseIdPattern(["spiffe://a.example", ...starred].join("/")), id)).toBe(true);
    }),
  );
});

test("nothing else matches: another segment, one more, one less, another trust domain", () => {
  fc.assert(
    fc.property(fc.array(segment, { minLength: 2, maxLength: 6 }), fc.nat(), (segments, nat) => {
      const id = parseSpiffeId(["spiffe://a.example", ...segments].join("/"));
      const at = nat % segments.length;
      const others = [
        ["spiffe://a.example", ...segments.with(at, `${segments[at]}x`)],
        ["spiffe://a.example", ...segments, "x"],
        ["spiffe://a.example", ...segments.slice(1)],
        ["spiffe://b.example", ...segments],
        ["spiffe://a.example", ...segments.map(() => "*"), "*"],
      ];
      for (const other of others) expect(matches(parseIdPattern(other.join("/")), id)).toBe(false);
    }),
  );
});

test("a dot matches only a dot", () => {
  const id = parseSpiffeId("spiffe://a-example/b");
  expect(matches(parseIdPattern("spiffe://a.example/b"), id)).toBe(false);
});

test.each([
  ["spiffe://*/a", "trust domain"],
  ["spiffe://*.example/a", "trust domain"],
  ["spiffe://a.example/b*", "a whole segment"],
  ["spiffe://a.example/**", "a whole segment"],
  ["*", "trust domain"],
  ["spiffe://a.example/*/", "ends with a slash"],
])("%s can never match and is refused", (text, says) => {
  expect(() => parseIdPattern(text)).toThrow(says);
});
