/** The credentials in use: read again when their files change, and replaced only by good ones. */
import { watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";

import type { CredentialFiles } from "../config.ts";
import { Deadline, Ticker } from "../deadline.ts";
import { ProxyError } from "../errors.ts";
import { loadCredentials, type Credentials } from "./source.ts";

export type StoreOptions = {
  readonly files: CredentialFiles;
  /** Good ones that differ from those before. A throw keeps the old ones. */
  readonly replaced: (credentials: Credentials) => void;
  /** What stood in the files was no good: the old ones stay. Called once for each different reason. */
  readonly kept: (reason: string) => void;
};

/** Directories are watched, because a rotation replaces files, or the link that leads to all of them. */
export class CredentialStore {
  readonly #options: StoreOptions;
  readonly #watchers: readonly FSWatcher[];
  readonly #poll: Ticker;
  #current: Credentials;
  #reason = "";
  #settling: Deadline | null = null;

  /** Throws CREDENTIALS_INVALID as `loadCredentials` does. */
  constructor(options: StoreOptions) {
    this.#options = options;
    this.#current = loadCredentials(options.files, Date.now());
    this.#watchers = directoriesOf(options.files).flatMap((directory) => this.#watch(directory));
    this.#poll = new Ticker(pollMs, () => {
      this.reload();
    });
  }

  get current(): Credentials {
    return this.#current;
  }

  /** Reads the files now. */
  reload(): void {
    try {
      const found = loadCredentials(this.#options.files, Date.now());
      this.#reason = "";
      if (isSame(found, this.#current)) return;
      this.#options.replaced(found);
      this.#current = found;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      if (this.#reason === error.message) return;
      this.#reason = error.message;
      this.#options.kept(error.message);
    }
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

  /** A certificate and its key are two files, and neither is written in one moment. */
  #soon(): void {
    this.#settling ??= new Deadline(settleMs, () => {
      this.#settling = null;
      this.reload();
    });
  }
}

function directoriesOf({ certificate, key, trustBundle }: CredentialFiles): readonly string[] {
  return [...new Set([certificate, key, trustBundle].map((path) => dirname(path)))];
}

function isSame(a: Credentials, b: Credentials): boolean {
  return (
    a.certificatePem === b.certificatePem &&
    a.keyPem === b.keyPem &&
    a.trustBundlePem === b.trustBundlePem
  );
}

const settleMs = 100;
const pollMs = 5000;
