/** Parses a policy file into fields, each with its line. Every error names line, field and remedy. Pure. */
import * as v from "valibot";
import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
} from "yaml";

import { ProxyError } from "../runtime/errors.ts";
import { escapeText, quote, quoteUnlessPlain, shorten } from "../runtime/log/escape.ts";
import { parsePortRange, portMax } from "../net/ports.ts";
import { lineOfDeepNesting } from "./nesting.ts";
import { twofoldTexts } from "./twofold.ts";
import { policySchema, type PolicyFields } from "./schema.ts";

export type PolicyDocument = {
  readonly fields: PolicyFields;
  /** The place of a field, "policy.yaml:12", by its path: `["inbound", "mode"]`. */
  readonly originOf: (path: FieldPath) => string;
};

export type FieldPath = readonly (string | number)[];

/** `file` is its path, for messages. Throws POLICY_INVALID that lists all errors, a line each. */
export function parsePolicy(text: string, file: string): PolicyDocument {
  const name = escapeText(file);
  if (text.length > lengthMax) throw invalid(name, [`it is longer than ${lengthMax} characters`]);
  const deep = lineOfDeepNesting(text);
  if (deep !== null) throw invalid(name, [`line ${deep}: it nests deeper than any policy does`]);
  const lines = new LineCounter();
  // Pretty errors quote the line of each error: in a long line that takes a minute.
  const document = parseDocument(text, {
    lineCounter: lines,
    strict: true,
    uniqueKeys: false,
    prettyErrors: false,
  });
  const source: Source = { name, document, lines };
  assertYaml(source);
  const result = v.safeParse(policySchema, valueOf(source));
  if (!result.success) throw invalid(name, faultTexts(source, result.issues));
  assertDistinctRanges(source, result.output);
  assertNestedPorts(source, result.output);
  return { fields: result.output, originOf: (path) => `${name}:${lineOf(source, path)}` };
}

function assertYaml({ name, document, lines }: Source): void {
  const faults = [...document.errors, ...document.warnings].map(({ code, message, pos }) => {
    const [first = ""] = message.split("\n");
    const words =
      code === "MULTIPLE_DOCS" ? "the file must be one YAML document, not several" : first;
    return `line ${lines.linePos(pos[0]).line}: ${escapeText(shorten(words.replace(/ at line \d+, column \d+:?$/, ""), wordsMax))}`;
  });
  if (faults.length > 0) throw invalid(name, faults);
  if (document.contents === null) throw invalid(name, [emptyHelp]);
  if (!isMap(document.contents)) throw invalid(name, [`line 1: ${policyHelp}`]);
  const twofold = twofoldTexts(document, (offset) => lines.linePos(offset).line);
  if (twofold.length > 0) throw invalid(name, twofold);
  assertKeys({ name, document, lines });
}

/** 80, 0x50 and "80" are the same port; an alias as a key is unreadable. */
function assertKeys({ name, document, lines }: Source): void {
  const faults: string[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        const text = isScalar(key) ? String(key.value) : null;
        const line = isNode(key) ? lines.linePos(key.range?.[0] ?? 0).line : 1;
        if (text === null) faults.push(`line ${line}: a key is a name or a port`);
        else if (seen.has(text))
          faults.push(`line ${line}: Map keys must be unique: ${quoteUnlessPlain(text, shownMax)}`);
        seen.add(text ?? "");
      }
    },
  });
  if (faults.length > 0) throw invalid(name, faults);
}

type Source = { readonly name: string; readonly document: Document; readonly lines: LineCounter };

/** Limits aliases: a few lines can expand to millions (the billion laughs). */
function valueOf({ name, document }: Source): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw invalid(name, ["too many aliases"], error);
  }
}

/** In line order, each once: an unknown key is reported both as unknown and as one that should not exist. */
function faultTexts(source: Source, issues: readonly v.BaseIssue<unknown>[]): readonly string[] {
  const found = issues.map((issue) => {
    const path = pathOf(issue);
    return { line: lineOf(source, path), path: path.join("\0"), text: faultText(source, issue) };
  });
  const distinct = new Map(found.toReversed().map((one) => [`${one.line} ${one.path}`, one]));
  return [...distinct.values()]
    .toReversed()
    .toSorted((a, b) => a.line - b.line)
    .map(({ text }) => text);
}

function pathOf(issue: v.BaseIssue<unknown>): FieldPath {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

/** "line 4, inbound.mode: strickt. Write strict, …" */
function faultText(source: Source, issue: v.BaseIssue<unknown>): string {
  const path = pathOf(issue);
  const where = `line ${lineOf(source, path)}, ${path.length === 0 ? "the whole" : pathText(path)}`;
  return `${where}: ${wrongText(issue)}${issue.message}`;
}

/** Quotes no more of the error than is needed to find it. */
function wrongText(issue: v.BaseIssue<unknown>): string {
  const { type, expected, received, input } = issue;
  if (type === "strict_object" && expected === "never")
    return `there is no field ${quote(String(issue.path?.at(-1)?.key), shownMax)}. `;
  if (type === "strict_object" && received === "undefined") return "it is missing. ";
  if (received === "null") return "it has no value. ";
  const simple =
    typeof input === "string" || typeof input === "number" || typeof input === "boolean";
  if (!simple) return "";
  return `${typeof input === "string" ? quote(input, shownMax) : input}. `;
}

function pathText(path: FieldPath): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${quoteUnlessPlain(key, shownMax)}`))
    .join("")
    .slice(1);
}

/** The line of the deepest part of the path that exists in the text. */
function lineOf({ document, lines }: Source, path: FieldPath): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const key of path) {
    const next = childOf(node, key);
    if (next === null) break;
    offset = next.offset ?? offset;
    node = next.node;
  }
  return lines.linePos(offset).line;
}

/** A member with the position of its key. */
function childOf(
  node: unknown,
  key: string | number,
): { readonly node: unknown; readonly offset: number | undefined } | null {
  if (isSeq(node)) {
    const item = node.items[Number(key)];
    return isNode(item) ? { node: item, offset: item.range?.[0] } : null;
  }
  if (!isMap(node)) return null;
  const pair = node.items.find(
    ({ key: one }) => isScalar(one) && String(one.value) === String(key),
  );
  if (pair === undefined || !isScalar(pair.key)) return null;
  return { node: pair.value, offset: pair.key.range?.[0] };
}

/** Refuses two rules for one range, because it is unclear which applies. */
function assertDistinctRanges(source: Source, { outbound }: PolicyFields): void {
  const seen = new Map<string, number>();
  for (const [index, { to }] of (outbound?.expect ?? []).entries()) {
    const before = seen.get(to.text);
    if (before !== undefined) {
      const at = (of: number): number => lineOf(source, ["outbound", "expect", of, "to"]);
      const text = `line ${at(index)}, outbound.expect[${index}].to: ${to.text} is in line ${at(before)} already. Write one rule for a range.`;
      throw invalid(source.name, [text]);
    }
    seen.set(to.text, index);
  }
}

/** If one range lies inside another, the narrower one applies; for other overlaps no rule is the narrower one. */
function assertNestedPorts(source: Source, { inbound }: PolicyFields): void {
  const written = Object.keys(inbound?.ports ?? {}).map((key) => {
    const { first, last } = parsePortRange(key);
    return { key, first, last };
  });
  const sorted = written.toSorted((a, b) => a.first - b.first || b.last - a.last);
  const open: typeof written = [];
  for (const one of sorted) {
    while ((open.at(-1)?.last ?? portMax) < one.first) open.pop();
    const around = open.at(-1);
    const same = around?.first === one.first && around.last === one.last;
    if (around !== undefined && (same || one.last > around.last)) {
      const [line, other] = [one, around].map(({ key }) =>
        lineOf(source, ["inbound", "ports", key]),
      );
      const text = `line ${line}, inbound.ports.${one.key}: it overlaps ${around.key} in line ${other}. Write ranges that are apart, or one inside of the other.`;
      throw invalid(source.name, [text]);
    }
    open.push(one);
  }
}

function invalid(name: string, all: readonly string[], cause?: unknown): ProxyError {
  const faults = all.slice(0, faultsMax);
  const [only] = faults;
  const text =
    faults.length === 1
      ? `${name}: ${only}`
      : `${name}: ${faults.length} mistakes\n  ${faults.join("\n  ")}`;
  return new ProxyError("POLICY_INVALID", text, { cause, parts: faults });
}

const lengthMax = 262_144;
/** No more errors are reported at once. */
const faultsMax = 20;
const shownMax = 60;
const wordsMax = 200;
const policyHelp = "these fields are expected: trustDomain, verify, inbound, outbound.";
const emptyHelp =
  "it is empty, as a half-written file would be. Write {} for a policy without any rule.";
