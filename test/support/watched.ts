/** Two watched files, and the notifications about them. */
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import { WatchedFiles } from "../../src/reload/watched-files.ts";
import { temporaryDirectory } from "./temporary.ts";

const base = temporaryDirectory();

/** Removed after the file's tests. */
export function emptyDirectory(): string {
  return mkdtempSync(`${base}/`);
}

/** A directory with two files, and every notification: when, and their contents then. */
export class Watched {
  readonly directory = emptyDirectory();
  readonly certificate = `${this.directory}/certificate.pem`;
  readonly key = `${this.directory}/key.pem`;
  readonly looks: { readonly at: number; readonly seen: string }[] = [];
  readonly #files: WatchedFiles;
  readonly #waiting: (() => void)[] = [];

  constructor() {
    for (const path of [this.certificate, this.key]) writeFileSync(path, "old");
    this.#files = new WatchedFiles([this.certificate, this.key], () => {
      this.looks.push({ at: performance.now(), seen: this.#read() });
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** Waits for this many notifications in all; returns the last of them. */
  async look(count: number): Promise<{ readonly at: number; readonly seen: string }> {
    for (;;) {
      const look = this.looks[count - 1];
      if (look !== undefined) return look;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  replace(path: string, text: string): void {
    writeFileSync(`${this.directory}/.new`, text);
    renameSync(`${this.directory}/.new`, path);
  }

  [Symbol.dispose](): void {
    this.#files.stop();
  }

  #read(): string {
    try {
      return `${readFileSync(this.certificate, "utf8")} ${readFileSync(this.key, "utf8")}`;
    } catch {
      return "gone";
    }
  }
}
