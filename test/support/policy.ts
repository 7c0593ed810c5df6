/** Policy files that tests write and rewrite. */
import { renameSync, writeFileSync } from "node:fs";

import { temporaryDirectory } from "./temporary.ts";

export class PolicyFile {
  readonly path = `${temporaryDirectory()}/policy.yaml`;
  readonly flags = ["--policy", this.path];

  constructor(text: string) {
    this.write(text);
  }

  /** Replaces the file atomically, as careful tools do. */
  write(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }
}
