/** A directory that is gone after the file's tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll } from "bun:test";

export function temporaryDirectory(): string {
  const directory = mkdtempSync(`${tmpdir()}/tproxy-test-`);
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });
  return directory;
}
