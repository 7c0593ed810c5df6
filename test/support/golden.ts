/** Golden bytes: one netlink message a line, its type and its body as hex. Differences are shown field by field. */
import { editsBetween, type Edit } from "./difference.ts";
import { bytesOfLine, lineOf, type Bytes } from "./message-lines.ts";
import { unfold } from "./unfold.ts";

/** Lines of the messages below the comment `# about`, up to the next comment. */
export function linesBelow(golden: string, about: string): readonly string[] {
  const [, below = "not captured"] = golden.split(`# ${about}\n`);
  return (below.split(/^#/m)[0] ?? "").split("\n").filter((line) => line !== "");
}

/** `theirs` are lines of a golden file. Throws with the messages that differ, unfolded. */
export function expectSameMessages(ours: readonly Bytes[], theirs: readonly string[]): void {
  const difference = differenceOf(theirs, ours.map(lineOf));
  if (difference !== "") throw new Error(difference);
}

/** "" if there is none. */
export function differenceOf(theirs: readonly string[], ours: readonly string[]): string {
  const changes = changesOf(editsBetween(theirs, ours));
  if (changes.length === 0) return "";
  const shown = changes.slice(0, shownMax).map(changeText);
  const rest = changes.length - shown.length;
  return [
    `${changes.length} of ${theirs.length} messages differ (- golden, + ours):`,
    ...shown,
    ...(rest > 0 ? [`and ${rest} more`] : []),
  ].join("\n\n");
}

/** A message that differs, or that only one side has: then the other line is null. */
type Change = { at: number; theirs: string | null; ours: string | null };

/** In a run of differing lines, the first of one side corresponds to the first of the other, and so on. */
function changesOf(edits: readonly Edit[]): readonly Change[] {
  const changes: Change[] = [];
  let run: Change[] = [];
  let at = 0;
  for (const { sign, line } of edits) {
    if (sign !== "+") at += 1;
    if (sign === " ") run = [];
    else {
      const side = sign === "-" ? "theirs" : "ours";
      const open = run.find((change) => change[side] === null);
      if (open === undefined) {
        const change: Change = { at: Math.max(at, 1), theirs: null, ours: null, [side]: line };
        run.push(change);
        changes.push(change);
      } else open[side] = line;
    }
  }
  return changes;
}

function changeText({ at, theirs, ours }: Change): string {
  const edits = editsBetween(linesOf(theirs), linesOf(ours));
  return [`message ${at}:`, ...edits.map(({ sign, line }) => `${sign} ${line}`)].join("\n");
}

function linesOf(line: string | null): readonly string[] {
  return line === null ? [] : unfold(bytesOfLine(line)).split("\n");
}

const shownMax = 3;
