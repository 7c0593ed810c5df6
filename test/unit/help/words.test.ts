/** The manual and the help use the field's words: old words are refused with their replacement. */
import { describe, expect, test } from "bun:test";

import { makeProgram } from "../../../src/cli/program.ts";
import { topics } from "../../../src/help/topics.ts";

const refused: readonly (readonly [old: RegExp, say: string])[] = [
  [/\bin clear\b/i, "in cleartext"],
  [/\banew\b/i, "again"],
  [/\b(no|some)body\b/i, "no client, no process, another process, any client"],
  [/\bwho(m|so)?ever\b/i, "any client, any process"],
  [/\bauthorit(y|ies)\b/i, "CA, CA bundle, trust bundle"],
  [/\b(is|are|was|were) told\b/i, "is logged, is reported"],
  [/\btells of\b/i, "reports"],
  [
    /\b(pre-?amble|handover|registry|generation)\b/i,
    "PROXY protocol header, re-execute, registry, reload",
  ],
  [/\b(becomes?|become) itself\b/i, "re-executes itself"],
  [/\bso long as who\b/i, "while a client"],
  [/\b(in|out)ward\b/i, "inbound, outbound"],
];

const program = makeProgram();
const shown: readonly (readonly [name: string, text: string])[] = [
  ["README", await Bun.file("README.md").text()],
  ...topics.map(({ name, text }) => [name, text] as const),
  ["--help", program.helpInformation()],
  ...program.commands.map((one) => [`${one.name()} --help`, one.helpInformation()] as const),
];

describe.each(shown)("%s", (_name, text) => {
  test("contains no old words", () => {
    const prose = withoutCode(text);
    const found = refused.flatMap(([old, say]) => {
      const [word] = old.exec(prose) ?? [];
      return word === undefined ? [] : [`say ${say} in place of "${word}"`];
    });
    expect(found).toEqual([]);
  });
});

/** Leaves out program output, names in code, and log lines. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$|`[^`]*`|^### [WE] .*$/gm, "");
}
