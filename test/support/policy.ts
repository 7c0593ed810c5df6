/** Policy files that tests write, and write again. */
import { renameSync, writeFileSync } from "node:fs";

import { temporaryDirectory } from "./temporary.ts";

export class PolicyFile {
  readonly path = `${temporaryDirectory()}/policy.yaml`;
  readonly flags = ["--policy", this.path];

  constructor(text: string) {
    this.write(text);
  }

  /** Whole or not at all, as tools do that know better. */
  write(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }
}
