import { expect, test } from "bun:test";
import { InvalidArgumentError } from "commander";
import fc from "fast-check";

import { normalizeArguments } from "../../../src/cli/arguments.ts";
import * as values from "../../../src/cli/values.ts";

test.each([
  ["port", values.port],
  ["uid", values.uid],
  ["verbosity", values.verbosity],
  ["range", values.cidr],
  ["mark", values.mark],
  ["TLS version", values.tlsVersion],
  ["status address", values.statusAddress],
] as const)(
  "any text is a valid %s, or an argument error that says what is expected",
  (_, parse) => {
    const likely = fc.string({ unit: fc.constantFrom(..."0123456789abcdefx./:[]%- ".split("")) });
    fc.assert(
      fc.property(fc.oneof(fc.string(), likely), (text) => {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidArgumentError);
        }
      }),
      { numRuns: 1000 },
    );
  },
);

test("normalising keeps the number of arguments, and normalising again changes nothing", () => {
  const argument = fc.oneof(
    fc.string(),
    fc.string().map((text) => `-${text}`),
  );
  fc.assert(
    fc.property(
      fc.array(argument.filter((text) => text !== "run" && !text.includes("="))),
      (args) => {
        const once = normalizeArguments(args);
        expect(once).toHaveLength(args.length);
        expect(normalizeArguments(once)).toEqual(once);
      },
    ),
  );
});
