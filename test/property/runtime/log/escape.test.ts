/** Any text of a peer or a file becomes one line that forges nothing, in both log formats. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import {
  identityField,
  describeIdentity,
  type PeerIdentity,
} from "../../../../src/identity/certificate.ts";
import { parseSpiffeId } from "../../../../src/identity/spiffe-id.ts";
import {
  escapeLines,
  escapeText,
  quote,
  quoteUnlessPlain,
  shorten,
} from "../../../../src/runtime/log/escape.ts";
import { formatJson, formatText } from "../../../../src/runtime/log/format.ts";
import { parsePolicy } from "../../../../src/policy/document.ts";
import { ProxyError } from "../../../../src/runtime/errors.ts";

/** Single code units, so that lone surrogates occur, and every character with a meaning to terminals or parsers. */
const anything = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xff_ff }).map((unit) => String.fromCharCode(unit)),
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        ...Array.from(
          "\n\r\t\0\u001B\u007F\u0085\u009B\u00A0\u00AD\u061C\u200B\u200E\u200F\u2028\u2029",
        ),
        ...Array.from(
          '\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069\u2060\uFEFF\uD800\uDC00"\\',
        ),
        "\u{E0001}",
        "\u{1F600}",
        "peer=spiffe://a/b",
      ),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(""));

const dangerous =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u001F\u007F-\u009F\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]|\p{Cs}|\p{Cf}/u;

test("any text becomes one line without control, direction or invisible characters", () => {
  fc.assert(
    fc.property(anything, (text) => {
      for (const escaped of [escapeText(text), quote(text), quoteUnlessPlain(text)])
        expect(escaped).not.toMatch(dangerous);
      expect(escapeText(escapeText(text))).toBe(escapeText(text));
      expect(escapeLines(text).split("\n")).toEqual(text.split("\n").map(escapeText));
    }),
    { numRuns: 2000 },
  );
});

test("quoted text is read back completely, and ends at its quotes", () => {
  fc.assert(
    fc.property(anything, (text) => {
      expect(JSON.parse(quote(text, text.length))).toBe(text);
      const either = quoteUnlessPlain(text, text.length);
      expect(either.startsWith('"') ? JSON.parse(either) : either).toBe(text);
      if (!either.startsWith('"')) expect(either).toMatch(/^[!-~]+$/);
    }),
    { numRuns: 2000 },
  );
});

test("shortened text is a prefix, and no character is cut in two", () => {
  fc.assert(
    fc.property(anything, fc.integer({ min: 1, max: 70 }), (text, lengthMax) => {
      const short = shorten(text, lengthMax);
      if (text.length <= lengthMax) expect(short).toBe(text);
      else expect(text.startsWith(short.slice(0, -1))).toBeTrue();
      expect(short.length).toBeLessThanOrEqual(lengthMax + 1);
      if (text.isWellFormed()) expect(short.isWellFormed()).toBeTrue();
    }),
  );
});

test("a log entry is one line in both formats, and its fields are read back from JSON", () => {
  fc.assert(
    fc.property(anything, anything, (message, peer) => {
      const line = { micros: 0, severity: "I", source: "x", message, fields: { peer } } as const;
      for (const written of [formatText(line), formatJson(line)]) {
        expect(written.endsWith("\n")).toBeTrue();
        expect(written.slice(0, -1)).not.toMatch(dangerous);
      }
      expect(JSON.parse(formatJson(line))).toMatchObject({ message, peer });
    }),
    { numRuns: 1000 },
  );
});

test("messages and fields are bounded in length", () => {
  const long = "\u202E".repeat(100_000);
  const line = {
    micros: 0,
    severity: "I",
    source: "x",
    message: long,
    fields: { a: long },
  } as const;
  expect(formatText(line).length).toBeLessThan(60_000);
  expect(formatJson(line).length).toBeLessThan(120_000);
});

test("a common name is quoted once, and never looks like a SPIFFE ID", () => {
  const id = parseSpiffeId("spiffe://a.example/x");
  expect(identityField({ ...named("web"), spiffeId: id })).toBe(id);
  fc.assert(
    fc.property(anything, (text) => {
      if (text === "") return;
      const [words, field] = [describeIdentity(named(text)), identityField(named(text))];
      if (text.length <= 64) {
        expect(JSON.parse(words)).toBe(text);
        expect(field).toBe(`CN=${text}`);
      }
      expect(words).not.toMatch(dangerous);
      expect(words.length).toBeLessThan(64 * 6 + 4);
    }),
  );
});

test("text from a policy file is quoted in its error messages", () => {
  fc.assert(
    fc.property(anything, (text) => {
      const file = { [text]: 1, inbound: { mode: text, ports: { [text]: {} } } };
      try {
        parsePolicy(JSON.stringify(file), "a\nb\u202E.yaml");
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        for (const line of error.message.split("\n  ")) expect(line).not.toMatch(dangerous);
        return;
      }
      throw new Error("it was taken");
    }),
  );
});

function named(commonName: string): PeerIdentity {
  return {
    spiffeId: null,
    spiffeFault: "it has no URI name",
    ips: [],
    otherNames: [],
    commonName,
    fingerprint: "00".repeat(32),
    notAfter: 0,
  };
}
