/** Every log line that asks for action has an entry in the topic, and every entry belongs to an existing line. */
import { Glob } from "bun";
import { describe, expect, test } from "bun:test";

import { Metrics } from "../../../src/connection/metrics.ts";
import { refusalLimits, LimitRefusals } from "../../../src/connection/limit-refusals.ts";
import type { Tuple } from "../../../src/intercept/kernel/proc-tcp.ts";
import { nonePreexisting } from "../../../src/intercept/cleartext/preexisting.ts";
import { diversionLines } from "../../../src/intercept/trial/report.ts";
import { reportPreexisting } from "../../../src/intercept/cleartext/report.ts";
import { parseHost, parseSocketAddress } from "../../../src/net/address.ts";
import { parseCidr } from "../../../src/net/cidr.ts";
import { topics } from "../../../src/help/topics.ts";
import { topicText } from "../../support/topics.ts";

/** "### W rules] a trial connection to … was not diverted": the ellipses and colons separate the constant parts. */
type Entry = {
  readonly severity: string;
  readonly source: string;
  readonly parts: readonly string[];
};
/** A call of `log.write` with one of these severities, and the source text of its message. */
type Site = {
  readonly severity: string;
  readonly source: string;
  readonly file: string;
  readonly text: string;
};

/** How far above a call its message may be composed. */
const nearCharacters = 500;

const entries: readonly Entry[] = [
  ...topicText("troubleshooting").matchAll(/^### ([WE]) (\w+)\] (.+)$/gm),
].map(([, severity = "", source = "", text = ""]) => ({
  severity,
  source,
  parts: text
    .split(/…|: /)
    .map((part) => part.trim())
    .filter((part) => part !== ""),
}));

const files = new Map<string, string>();
for (const file of new Glob("**/*.ts").scanSync("src"))
  files.set(file, withoutJoints(await Bun.file(`src/${file}`).text()));
const everything = [...files.values()].join("\n");
const sites = [...files.keys()].flatMap(sitesIn);

test("there are calls and entries to compare", () => {
  expect(sites.length).toBeGreaterThan(25);
  expect(entries.length).toBeGreaterThanOrEqual(sites.length);
});

describe.each(
  sites.map((site) => [`${site.severity} ${site.source} of ${site.file}`, site] as const),
)("%s", (_name, { severity, source, text }) => {
  test("has an entry", () => {
    const same = entries.filter((one) => one.severity === severity && one.source === source);
    const fits = same.filter(({ parts }) => parts.every((part) => text.includes(part)));
    // A message that is only a variable is tested below, or where its text is composed.
    expect(saysNothing(text) ? same : fits).not.toEqual([]);
  });
});

test("every entry belongs to a line in the source", () => {
  const gone = entries.flatMap(({ parts }) => parts).filter((part) => !everything.includes(part));
  expect(gone).toEqual([]);
});

test("every message quoted in a symptom exists in the program", () => {
  const symptoms = topicText("troubleshooting").split(/^## Lines of the log/m)[0] ?? "";
  const rows = [...symptoms.matchAll(/^\| `([^`]+)`/gm)];
  const sentences = [...symptoms.matchAll(/^\*\*[^*]*(?:says|or) `([^`]+)`[^]*?\*\*/gm)];
  const quoted = [...rows, ...sentences].flatMap(([, text = ""]) => text.split(/ ?… ?|, (?=not$)/));
  expect(quoted.length).toBeGreaterThan(12);
  const foreign = quoted.filter((text) => text !== "" && !everything.includes(text));
  expect(foreign).toEqual([]);
});

test("every message quoted in another topic exists in the program", () => {
  const others = topics.filter(({ name }) => name !== "troubleshooting");
  const quoted = others.flatMap(({ name, text }) =>
    [...text.matchAll(/(?:message is|(?:log|line) says)\s+`([^`]+)`|`(CAP_\w+ [^`]+)`/g)].flatMap(
      ([, message, capability]) =>
        (message ?? capability ?? "").split(/ ?… ?|, (?=not$)/).map((part) => ({ name, part })),
    ),
  );
  expect(new Set(quoted.map(({ name }) => name)).size).toBeGreaterThan(1);
  expect(quoted.filter(({ part }) => !everything.includes(part))).toEqual([]);
});

test("every limit has an entry", () => {
  const lines: string[] = [];
  const log = {
    verbosity: 0,
    write: (_severity: string, _source: string, text: string) => void lines.push(text),
    writeMade: () => undefined,
    end: async () => undefined,
  };
  const refusals = new LimitRefusals({ log, metrics: new Metrics("new"), now: () => 0 });
  for (const limit of refusalLimits) refusals.refuse(limit);
  const found = lines.map((line) => entryOf("W", "limits", line));
  expect(found).not.toContain(undefined);
  expect(new Set(found).size).toBe(refusalLimits.length);
});

test("every outcome of a trial connection except success has an entry", () => {
  const address = parseSocketAddress("10.0.0.1:80");
  const target = { range: parseCidr("10.0.0.0/8"), address };
  const kinds = ["not-diverted", "refused", "lost"] as const;
  const failed = kinds.map((kind) => ({ target, kind, drop: null }));
  const lines = diversionLines({ works: [], veiled: failed.slice(2), failed }, []);
  expect(lines.length).toBe(4);
  for (const { severity, text } of lines)
    expect([text, entryOf(severity, "rules", text)]).not.toContain(undefined);
});

test("every fate of preexisting connections has an entry", () => {
  const all: readonly Tuple[] = [
    {
      inode: "7",
      uid: 0,
      isOpening: false,
      source: parseHost("10.0.0.1"),
      sourcePort: 1,
      destination: parseHost("10.0.0.2"),
      destinationPort: 80,
    },
  ];
  const lines: string[] = [];
  const found = { ...nonePreexisting, left: all, reset: all, blocked: all };
  reportPreexisting(
    found,
    () => "inbound",
    (text) => lines.push(text),
  );
  expect(new Set(lines.map((line) => entryOf("W", "proxy", line))).size).toBe(3);
  for (const line of lines) expect([line, entryOf("W", "proxy", line)]).not.toContain(undefined);
});

function entryOf(severity: string, source: string, line: string): Entry | undefined {
  return entries.find(
    (one) =>
      one.severity === severity &&
      one.source === source &&
      one.parts.every((part) => line.includes(part)),
  );
}

function sitesIn(file: string): readonly Site[] {
  const text = files.get(file) ?? "";
  const calls = text.matchAll(/(?:\.write|\bput|\bline)\(\s*"([WE])",\s*"(\w+)",/g);
  return [...calls].map((call) => {
    const message = firstArgument(text, call.index + call[0].length);
    const near = text.slice(Math.max(0, call.index - nearCharacters), call.index);
    const local = [...near.matchAll(/^\s+const (\w+) = [^;]*;/gm)].filter(([, name = ""]) =>
      new RegExp(String.raw`\b${name}\b`).test(message),
    );
    const [severity = "", source = ""] = call.slice(1);
    const said = [message, ...local.map(([whole]) => whole)].join("\n");
    return { severity, source, file, text: explained(said, text, 2) };
  });
}

/** Up to the comma or parenthesis that ends it; nested brackets are skipped. */
function firstArgument(text: string, from: number): string {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    if (depth === 0 && (text[at] === ")" || /^,\s*(?:\{ |\))/.test(text.slice(at, at + 20))))
      return text.slice(from, at);
    if ("([{".includes(text[at] ?? "-")) depth += 1;
    if (")]}".includes(text[at] ?? "-")) depth -= 1;
  }
  throw new Error("a call without an end");
}

/**
 * An expression with its names replaced by their definitions: constants and functions of its file, or imported there.
 */
function explained(expression: string, file: string, depth: number): string {
  const names = depth === 0 ? [] : new Set(expression.match(/\b[a-z]\w{2,}\b/g));
  const further = [...names].map((name) => explained(definitionOf(name, file), file, depth - 1));
  return [expression, ...further].join("\n");
}

function definitionOf(name: string, file: string): string {
  const top = String.raw`(?:const ${name}\b[^]*?;|function ${name}\b[^]*?^\})$`;
  const own = new RegExp(`^(?:export )?${top}`, "m").exec(file);
  const isImported = new RegExp(String.raw`^import [^;]*\b${name}\b[^;]*;$`, "m").test(file);
  const other = isImported ? new RegExp(`^export ${top}`, "m").exec(everything) : null;
  return (own ?? other)?.[0] ?? "";
}

function saysNothing(text: string): boolean {
  return !/["`][^"`]*[a-z]{3}/.test(text.replaceAll(/\$\{[^}]*\}/g, ""));
}

/** Joins texts that are split over several lines. */
function withoutJoints(text: string): string {
  return text.replaceAll(/["`]\s*\+\s*["`]/g, "");
}
