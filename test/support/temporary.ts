/** A directory that is removed after the file's tests, or after a script. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll } from "bun:test";

export function temporaryDirectory(): string {
  const directory = mkdtempSync(`${tmpdir()}/tproxy-test-`);
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true });
  };
  // The test runner has no exit event, and outside it afterAll throws.
  if (process.env["NODE_ENV"] === "test") afterAll(remove);
  else process.on("exit", remove);
  return directory;
}
