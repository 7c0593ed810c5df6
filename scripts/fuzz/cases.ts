/** The kept cases as text, and the failed files in a test run's output. Pure. */

/** A file or folder of property tests, the seed, and the inputs of each property. */
export type Case = { readonly file: string; readonly seed: number; readonly runs: number };

export function formatCase({ file, seed, runs }: Case): string {
  return `${file} ${seed} ${runs}`;
}

/** Throws for a line in another form, so that no case is lost silently. */
export function parseCases(text: string): readonly Case[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line) => {
      const match = /^(\S+) (-?\d+) (\d+)$/.exec(line.trim());
      if (match === null) throw new Error(`not FILE SEED RUNS: ${line}`);
      const [, file = "", seed, runs] = match;
      return { file, seed: Number(seed), runs: Number(runs) };
    });
}

/** Bun prints a file's name on a line of its own, and below it "(fail) …" for each failed test. */
export function failedFiles(output: string): readonly string[] {
  const failed = new Set<string>();
  let file = "";
  for (const line of output.split("\n")) {
    const name = /^(\S+\.test\.ts):$/.exec(line)?.[1];
    if (name !== undefined) file = name;
    else if (line.startsWith("(fail)") && file !== "") failed.add(file);
  }
  return [...failed];
}
