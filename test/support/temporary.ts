/** A directory that is gone after the file's tests, or after a script. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll } from "bun:test";

export function temporaryDirectory(): string {
  const directory = mkdtempSync(`${tmpdir()}/tproxy-test-`);
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true });
  };
  // The test runner has no exit event, and a script no afterAll.
  afterAll(remove);
  process.on("exit", remove);
  return directory;
}
