/** The tracked files of each kind, by extension, for the formatters and linters. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";

export type Kind = "bun" | "zig" | "shell";

/** The files that have a formatter. Throws without git or a repository. */
export function trackedFiles(kind: Kind): readonly string[] {
  return allTracked().filter((file) => kindOf(file) === kind);
}

export function allTracked(): readonly string[] {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", "ls-files", "-z"]);
  if (exitCode !== 0) throw new Error(stderr.toString());
  // A removed file is tracked until the removal is committed.
  return stdout.toString().split("\0").filter(existsSync);
}

/** Null for kinds without a formatter here: Markdown, golden bytes, lists. */
export function kindOf(file: string): Kind | null {
  const extension = /\.([^./]+)$/.exec(file)?.[1];
  if (extension !== undefined) return kinds.get(extension) ?? null;
  return /^#!.*\b(?:ba|da)?sh\b/.test(beginningOf(file)) ? "shell" : null;
}

function beginningOf(file: string): string {
  const buffer = Buffer.alloc(80);
  const fd = openSync(file, "r");
  const length = readSync(fd, buffer);
  closeSync(fd);
  return buffer.toString("latin1", 0, length).split("\n")[0] ?? "";
}

const kinds: ReadonlyMap<string, Kind> = new Map([
  ["ts", "bun"],
  ["js", "bun"],
  ["json", "bun"],
  ["yaml", "bun"],
  ["yml", "bun"],
  ["toml", "bun"],
  ["css", "bun"],
  ["html", "bun"],
  ["zig", "zig"],
  ["zon", "zig"],
  ["sh", "shell"],
  ["bash", "shell"],
]);
