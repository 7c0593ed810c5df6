/** The difference between two lists of lines: their longest common subsequence, and the lines on one side only. */

export type Edit = { readonly sign: " " | "-" | "+"; readonly line: string };

/** "-": only in `theirs`. "+": only in `ours`. Takes time and memory of the product of both lengths. */
export function editsBetween(theirs: readonly string[], ours: readonly string[]): readonly Edit[] {
  const common = commonLengths(theirs, ours);
  const edits: Edit[] = [];
  let [at, to] = [0, 0];
  while (at < theirs.length || to < ours.length) {
    const [line = "", other = ""] = [theirs[at], ours[to]];
    if (at < theirs.length && to < ours.length && line === other) {
      edits.push({ sign: " ", line });
      at += 1;
      to += 1;
    } else if (to === ours.length || (at < theirs.length && isLonger(common, at, to))) {
      edits.push({ sign: "-", line });
      at += 1;
    } else {
      edits.push({ sign: "+", line: other });
      to += 1;
    }
  }
  return edits;
}

/** Whether skipping the next line of theirs leaves as much in common as skipping the next of ours. */
function isLonger(common: readonly (readonly number[])[], at: number, to: number): boolean {
  return (common[at + 1]?.[to] ?? 0) >= (common[at]?.[to + 1] ?? 0);
}

/** How many lines the rests from `at` and from `to` have in common: [at][to]. */
function commonLengths(a: readonly string[], b: readonly string[]): readonly (readonly number[])[] {
  const lengths = Array.from({ length: a.length + 1 }, () =>
    Array.from({ length: b.length + 1 }, () => 0),
  );
  for (let at = a.length - 1; at >= 0; at -= 1)
    for (let to = b.length - 1; to >= 0; to -= 1) {
      const after = lengths[at + 1]?.[to + 1] ?? 0;
      const longest = Math.max(lengths[at + 1]?.[to] ?? 0, lengths[at]?.[to + 1] ?? 0);
      const row = lengths[at];
      if (row !== undefined) row[to] = a[at] === b[to] ? after + 1 : longest;
    }
  return lengths;
}
