/** The manual, the help and all messages use the field's words: old words are refused with their replacement. */
import { Glob } from "bun";
import { describe, expect, test } from "bun:test";

import { makeProgram } from "../../../src/cli/program.ts";
import { topics } from "../../../src/help/topics.ts";
import { literalsIn } from "../../support/literals.ts";

const refused: readonly (readonly [old: RegExp, say: string])[] = [
  [/\bin clear\b/i, "in cleartext, unencrypted"],
  [/\banew\b/i, "again"],
  [/\b(no|some|any|every)body\b/i, "no client, no process, another process, any client"],
  [/\bwho(m|so)?ever\b/i, "any client, any process"],
  [/\bauthorit(y|ies)\b/i, "CA, CA bundle, trust bundle"],
  [/\b(is|are|was|were|been) told\b/i, "is logged, is reported, is asked"],
  [/\btells? of\b/i, "reports"],
  [/\bvouch/i, "chains to, is issued by"],
  [/\bpre-?amble\b/i, "PROXY protocol header"],
  [/\b(handover|hand-over)\b/i, "re-execute"],
  [/\bledger\b/i, "registry"],
  [/\bgeneration\b/i, "reload; what is in force"],
  [/\bkeeper\b/i, "repair process"],
  [/\bway-back\b/i, "return path"],
  [/\b(becomes?|become) itself\b/i, "re-executes itself"],
  [/\bso long as who\b/i, "while a client"],
  [/\b(in|out)ward\b/i, "inbound, outbound"],
  [/\b(whence|thence|lest|upon|thereof)\b/i, "a word of today"],
];

/** HTTP/2's own name, the file name of the repair process, and a subject that stands in users' certificates. */
const allowed =
  /^:authority$|no host as authority|\/tproxy-repair$|^trial authority, not for production$/;
/** These contain the old names, for `--metrics-names old`. */
const allowedFiles = new Set(["connection/metric-names.ts"]);

const program = makeProgram();
const shown: readonly (readonly [name: string, text: string])[] = [
  ["README", await Bun.file("README.md").text()],
  ...topics.map(({ name, text }) => [name, text] as const),
  ["--help", program.helpInformation()],
  ...program.commands.map((one) => [`${one.name()} --help`, one.helpInformation()] as const),
];

describe.each(shown)("%s", (_name, text) => {
  test("contains no old words", () => {
    expect(faultsOf(withoutCode(text))).toEqual([]);
  });
});

test("no string in src contains an old word", async () => {
  const found: string[] = [];
  for (const file of [...new Glob("**/*.ts").scanSync("src")].toSorted()) {
    if (allowedFiles.has(file)) continue;
    const source = await Bun.file(`src/${file}`).text();
    const texts = literalsIn(source).filter(({ line }) => !isImport(source, line));
    const faults = texts
      .filter(({ text }) => !allowed.test(text))
      .flatMap(({ line, text }) => faultsOf(text).map((fault) => `src/${file}:${line}: ${fault}`));
    found.push(...faults);
  }
  expect(found).toEqual([]);
});

test("an old word is reported with its replacement", () => {
  expect(faultsOf("written anew in clear")).toEqual([
    'say in cleartext, unencrypted in place of "in clear"',
    'say again in place of "anew"',
  ]);
});

function faultsOf(text: string): readonly string[] {
  return refused.flatMap(([old, say]) => {
    const [word] = old.exec(text) ?? [];
    return word === undefined ? [] : [`say ${say} in place of "${word}"`];
  });
}

/** Paths of modules are names in code. */
function isImport(source: string, line: number): boolean {
  return /(?:^import| from "|^\} from ")/.test(source.split("\n")[line - 1] ?? "");
}

/** Leaves out commands, program output, and names in code. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$|`[^`]*`/gm, "");
}
