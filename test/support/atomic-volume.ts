/**
 * A directory as kubelet maintains it for secrets and projected volumes (its AtomicWriter): all files change in one
 * rename.
 */
import {
  existsSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";

import { temporaryDirectory } from "./temporary.ts";

export class AtomicVolume {
  readonly directory = `${temporaryDirectory()}/volume`;
  #generation = 0;

  constructor(files: Readonly<Record<string, string>>) {
    this.write(files);
  }

  /** Files are links to ..data/<file>, and ..data is a link to a time-stamped directory, which is swapped. */
  write(files: Readonly<Record<string, string>>): void {
    mkdirSync(this.directory, { recursive: true });
    const fresh = `..2026_11_25_16_00_00.${(this.#generation += 1)}`;
    const data = `${this.directory}/..data`;
    const before = existsSync(data) ? readlinkSync(data) : null;
    mkdirSync(`${this.directory}/${fresh}`);
    for (const [name, text] of Object.entries(files))
      writeFileSync(`${this.directory}/${fresh}/${name}`, text);
    symlinkSync(fresh, `${this.directory}/..data_tmp`);
    renameSync(`${this.directory}/..data_tmp`, data);
    for (const name of Object.keys(files)) {
      const visible = `${this.directory}/${name}`;
      if (!existsSync(visible)) symlinkSync(`..data/${name}`, visible);
    }
    if (before !== null) rmSync(`${this.directory}/${before}`, { recursive: true });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
