/** No policy file makes the parser recurse without bound, and parsing time grows only with size. */
import { expect, test } from "bun:test";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { lineOfDeepNesting } from "../../../src/policy/nesting.ts";
import { shownPolicies } from "../../support/topics.ts";

const characters = 250_000;
const many = (text: string, of = characters): string => text.repeat(Math.floor(of / text.length));
/** A tenth of the size limit: quadratic growth would still show. */
const some = (text: string): string => many(text, characters / 10);

function refusal(text: string): string {
  try {
    parsePolicy(text, "policy.yaml");
    return "good";
  } catch (error) {
    if (error instanceof ProxyError) return error.message;
    throw error;
  }
}

test.each([
  ["[", many("[")],
  ["{", many("{")],
  ["{a: ", many("{a: ")],
  ["[ and ]", "[".repeat(characters / 2) + "]".repeat(characters / 2)],
  ["- ", many("- ")],
  ["? ", many("? ")],
  [": ", many(": ")],
  ["? - ", many("? - ")],
  ["{a: [", many("{a: [")],
  ["[ on lines of their own", many("[\n")],
  ["[ behind a value", `trustDomain: a\ninbound: ${many("[")}`],
  ["[ in lines that end in CR alone", many("[\r")],
  ["columns", Array.from({ length: 700 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
])("nested by %s: refused before parsing", (_, text) => {
  expect(refusal(text)).toMatch(/^policy\.yaml: line \d+: it nests deeper than any policy does$/);
});

test.each([
  ["commas", `[${some(",")}`],
  ["quotes", some('"')],
  ["escapes", `a: "${some(String.raw`\\x`)}`],
  ["tags", some("!a ")],
  ["anchors", some("&a ")],
  ["aliases", some("*a ")],
  ["empty lists", `a: [${some("[],")}`],
  ["directives", some("%x\n")],
  ["mappings in a line", some("a: b: c\n")],
  ["an alias of itself", "inbound: &a\n  ports: *a\n"],
  [
    "aliases of aliases",
    `a0: &a0 [x, x]\n${Array.from({ length: 60 }, (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`).join("\n")}`,
  ],
])("unbounded mistakes: %s", (_, text) => {
  const said = refusal(text);
  expect(said).toStartWith("policy.yaml:");
  expect(said.length).toBeLessThan(8192);
  expect(said).not.toContain("call stack");
});

test("nesting up to the limit is parsed", () => {
  for (const text of [
    `a: ${"[".repeat(32)}${"]".repeat(32)}`,
    Array.from({ length: 129 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"),
  ]) {
    expect(lineOfDeepNesting(text)).toBeNull();
    expect(refusal(text)).toContain("there is no field");
  }
});

test("the manual's policies are within the limit", () => {
  const samples = shownPolicies();
  expect(samples.length).toBeGreaterThan(0);
  for (const text of samples) expect(lineOfDeepNesting(text)).toBeNull();
});
