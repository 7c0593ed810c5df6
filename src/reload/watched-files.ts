/** Watches files that are replaced while in use: reports a change soon after it, and polls from time to time. */
import { statSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";

import { Deadline, Ticker } from "../runtime/deadline.ts";

/** The result of reading files, and their signature before that: a watch that starts later sees changes in between. */
export type FirstRead<T> = { readonly value: T; readonly signature: string };

/** Watches directories, because a rotation replaces files, or the link that leads to all of them. */
export class WatchedFiles {
  readonly #directories: ReadonlySet<string>;
  readonly #poll: Ticker;
  readonly #names: ReadonlySet<string>;
  readonly #look: () => void;
  #watchers: readonly FSWatcher[];
  #seen: string;
  #settling: Deadline | null = null;
  #settleMs = 0;
  #since = 0;

  /** `look` reads the files and finds out itself whether they have changed. */
  constructor(paths: readonly string[], look: () => void, seen: string | null = null) {
    this.#look = look;
    this.#names = new Set(paths.map((path) => basename(path)));
    this.#directories = new Set(paths.map((path) => dirname(path)));
    this.#watchers = this.#watchAll();
    this.#seen = signatureOf(paths);
    if (seen !== null && seen !== this.#seen) this.#soon(writtenMs);
    this.#poll = new Ticker(pollMs, () => {
      const now = signatureOf(paths);
      if (now === this.#seen) return;
      this.#seen = now;
      this.#soon(writtenMs);
      // The directory may have been replaced.
      this.#closeAll();
      this.#watchers = this.#watchAll();
    });
  }

  stop(): void {
    this.#settling?.clear();
    this.#poll.stop();
    this.#closeAll();
  }

  #closeAll(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #watchAll(): readonly FSWatcher[] {
    return [...this.#directories].flatMap((directory) => this.#watch(directory));
  }

  /** A directory that cannot be watched is polled like all others. */
  #watch(directory: string): readonly FSWatcher[] {
    try {
      const watcher = watch(directory, { persistent: false }, (event, name) => {
        if (event === "rename") this.#soon(renamedMs);
        else if (name === null || this.#names.has(name)) this.#soon(writtenMs);
      });
      watcher.on("error", () => undefined);
      return [watcher];
    } catch {
      return [];
    }
  }

  /**
   * Waits until nothing has changed for a moment, because several files are not replaced at once. A file written in
   * place is complete when it has not been written to for longer; before that, half of it may look valid.
   */
  #soon(settleMs: number): void {
    if (this.#settling === null) {
      this.#since = performance.now();
      this.#settleMs = 0;
    } else if (performance.now() - this.#since > settleMsMax) return;
    this.#settling?.clear();
    this.#settleMs = Math.max(this.#settleMs, settleMs);
    this.#settling = new Deadline(this.#settleMs, () => {
      this.#settling = null;
      this.#look();
    });
  }
}

/** Replaced, written or missing files have another signature: stat(2). */
export function signatureOf(paths: readonly string[]): string {
  return paths.map(signatureOfOne).join();
}

function signatureOfOne(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return ""; // Missing or not accessible: reading it reports the reason.
  }
}

const renamedMs = 100;
const writtenMs = 1000;
/** A directory that changes all the time is still read after this time. */
const settleMsMax = 3000;
const pollMs = 5000;
