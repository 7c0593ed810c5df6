/** The findings of a check, and their output. Pure. */
import { escapeText } from "../../runtime/log/escape.ts";
import type { Item } from "../report.ts";
import { isFindingId, titleOf, type FindingId } from "./titles.ts";

export type Level = "good" | "warning" | "bad";

export type Finding = {
  readonly level: Level;
  readonly id: FindingId;
  readonly title: string;
  /** What was observed. */
  readonly detail: string;
  /** What to do, "" for nothing. */
  readonly remedy: string;
};

export type Section = { readonly title: string; readonly findings: readonly Finding[] };

/** The resulting messages. */
export type Advice = { readonly well: string; readonly bad: string };

export function good(id: FindingId, detail = ""): Finding {
  return { level: "good", id, title: titleOf(id), detail, remedy: "" };
}

export function warning(id: FindingId, detail: string, remedy: string): Finding {
  return { level: "warning", id, title: titleOf(id), detail, remedy };
}

export function bad(id: FindingId, detail: string, remedy: string): Finding {
  return { level: "bad", id, title: titleOf(id), detail, remedy };
}

/** True without a bad finding: warnings do not prevent a start. */
export function isWell(sections: readonly Section[]): boolean {
  return sections.every(({ findings }) => findings.every(({ level }) => level !== "bad"));
}

/** Text for terminals: ✓ good, ! a warning, ✗ bad, with the remedy below. */
export function formatSections(
  sections: readonly Section[],
  colour: boolean,
  advice: Advice = aboutProxy,
): string {
  const parts = sections.map(({ title, findings }) =>
    [title, ...findings.flatMap((finding) => linesOf(finding, colour))].join("\n"),
  );
  return `${parts.join("\n\n")}\n\n${summaryOf(sections, advice)}\n`;
}

/** One JSON object for programs. */
export function itemsOf(sections: readonly Section[]): readonly Item[] {
  return sections.flatMap(({ title: section, findings }) =>
    findings.map(({ id, level, title, detail, remedy }) => ({
      id,
      level,
      message: detail === "" ? title : `${title}: ${detail}`,
      ...(remedy === "" ? {} : { remedy }),
      section,
    })),
  );
}

/** Encodes findings for another process: a line each, with fields separated by tabs. */
export function formatLines(findings: readonly Finding[]): string {
  return findings
    .map((one) => [one.level, one.id, one.detail, one.remedy].map(onOneLine).join("\t"))
    .join("\n");
}

/** Decodes the output of `formatLines`; ignores other lines. */
export function parseLines(text: string): readonly Finding[] {
  return text.split("\n").flatMap((line) => {
    const [level, id = "", detail, remedy] = line.split("\t");
    if (level !== "good" && level !== "warning" && level !== "bad") return [];
    if (!isFindingId(id) || detail === undefined || remedy === undefined) return [];
    return [{ level, id, title: titleOf(id), detail, remedy }];
  });
}

function onOneLine(text: string): string {
  return text.replaceAll(/[\t\n]/g, " ");
}

function linesOf({ level, title, detail, remedy }: Finding, colour: boolean): readonly string[] {
  const [sign, code] = signs[level];
  const mark = colour ? `\u001B[${code}m${sign}\u001B[0m` : sign;
  const seen = detail === "" ? "" : `: ${indented(detail)}`;
  return [
    `  ${mark} ${escapeText(title)}${seen}`,
    ...(remedy === "" ? [] : [`      ${indented(remedy)}`]),
  ];
}

/** Indents further lines, so that none looks like another finding. */
function indented(text: string): string {
  return text.split("\n").map(escapeText).join("\n      ");
}

function summaryOf(sections: readonly Section[], advice: Advice): string {
  const all = sections.flatMap(({ findings }) => findings);
  const count = (level: Level): number => all.filter((one) => one.level === level).length;
  const numbers = `${count("good")} good, ${count("warning")} warnings, ${count("bad")} bad.`;
  return `${numbers} ${isWell(sections) ? advice.well : advice.bad}`;
}

const signs = { good: ["✓", 32], warning: ["!", 33], bad: ["✗", 31] } as const;

const aboutProxy: Advice = {
  well: "The proxy can start.",
  bad: "The proxy cannot do its work like this.",
};
