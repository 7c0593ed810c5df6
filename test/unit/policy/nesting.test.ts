/** No policy file makes the parser call itself without end, and none takes it longer than its size. */
import { expect, test } from "bun:test";

import { ProxyError } from "../../../src/runtime/errors.ts";
import { parsePolicy } from "../../../src/policy/document.ts";
import { lineOfDeepNesting } from "../../../src/policy/nesting.ts";
import { shownPolicies } from "../../support/topics.ts";

const characters = 250_000;
const many = (text: string, of = characters): string => text.repeat(Math.floor(of / text.length));
/** A tenth of what a file may have: what grows with its square would show all the same. */
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
])("it nests by %s: refused before it is parsed", (_, text) => {
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
])("mistakes without end: %s", (_, text) => {
  const said = refusal(text);
  expect(said).toStartWith("policy.yaml:");
  expect(said.length).toBeLessThan(8192);
  expect(said).not.toContain("call stack");
});

test("as deep as it may be, it is parsed", () => {
  for (const text of [
    `a: ${"[".repeat(32)}${"]".repeat(32)}`,
    Array.from({ length: 129 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"),
  ]) {
    expect(lineOfDeepNesting(text)).toBeNull();
    expect(refusal(text)).toContain("there is no field");
  }
});

test("the policies of the manual are not deep", () => {
  const samples = shownPolicies();
  expect(samples.length).toBeGreaterThan(0);
  for (const text of samples) expect(lineOfDeepNesting(text)).toBeNull();
});
