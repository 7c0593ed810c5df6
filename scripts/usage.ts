/** --help and unknown options for the TypeScript scripts. lib.sh does the same for the shell scripts. */

/**
 * The arguments, if they match `usage`, whose options are at the start of a line, after two spaces; at most `countMax`
 * other arguments. Otherwise prints the usage, or the error, and ends the process: 0, or 2 for an error.
 */
export function readArguments(usage: string, countMax: number): readonly string[] {
  const given = process.argv.slice(2);
  if (given.includes("--help") || given.includes("-h")) endWith(usage, 0);
  const mistake = mistakeIn(given, usage, countMax);
  if (mistake === null) return given;
  const [, command = ""] = /^Usage: ((?:bun )?\S+)/.exec(usage) ?? [];
  return endWith(`${command}: ${mistake}\nTry ${command} --help.\n`, 2);
}

/** Prints a text, to stderr unless `code` is 0, and ends the process. */
export function endWith(text: string, code: number): never {
  (code === 0 ? process.stdout : process.stderr).write(text);
  // oxlint-disable-next-line no-process-exit -- a script's imports may hold resources, and nothing has begun yet
  process.exit(code);
}

/** Why these arguments do not match this usage, or null. */
export function mistakeIn(
  given: readonly string[],
  usage: string,
  countMax: number,
): string | null {
  const known = [...usage.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, name = ""]) => name);
  const unknown = given.find((one) => one.startsWith("-") && !known.includes(one));
  if (unknown !== undefined) {
    const near = known.find((one) => distance(one, unknown) <= lettersMax);
    const hint = near === undefined ? "" : `: did you mean ${near}?`;
    return `there is no option ${unknown}${hint}`;
  }
  const count = given.filter((one) => !one.startsWith("-")).length;
  return count > countMax ? "too many arguments" : null;
}

/** The number of letters to add, remove or change: Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of a.split("").entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const changed = (row[j] ?? 0) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

const lettersMax = 2;
