/** Files that are replaced while they are in use: told of soon after they change, and looked at now and then. */
import { watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";

import { Deadline, Ticker } from "./deadline.ts";

/** Directories are watched, because a rotation replaces files, or the link that leads to all of them. */
export class WatchedFiles {
  readonly #watchers: readonly FSWatcher[];
  readonly #poll: Ticker;
  readonly #look: () => void;
  #settling: Deadline | null = null;
  #since = 0;

  /** `look` reads the files and finds out by itself whether they are others. */
  constructor(paths: readonly string[], look: () => void) {
    this.#look = look;
    const directories = new Set(paths.map((path) => dirname(path)));
    this.#watchers = [...directories].flatMap((directory) => this.#watch(directory));
    this.#poll = new Ticker(pollMs, () => {
      if (this.#settling === null) look();
    });
  }

  stop(): void {
    this.#settling?.clear();
    this.#poll.stop();
    for (const watcher of this.#watchers) watcher.close();
  }

  /** A directory that cannot be watched is polled like all others. */
  #watch(directory: string): readonly FSWatcher[] {
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        this.#soon();
      });
      watcher.on("error", () => undefined);
      return [watcher];
    } catch {
      return [];
    }
  }

  /** When nothing has changed for a moment: several files, or one long one, are not written in one moment. */
  #soon(): void {
    if (this.#settling === null) this.#since = performance.now();
    else if (performance.now() - this.#since > settleMsMax) return;
    this.#settling?.clear();
    this.#settling = new Deadline(settleMs, () => {
      this.#settling = null;
      this.#look();
    });
  }
}

const settleMs = 100;
/** A directory in which something always changes is looked at all the same. */
const settleMsMax = 2000;
const pollMs = 5000;
