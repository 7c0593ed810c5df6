/** The credentials in use: read again when their files change, and replaced only by good ones. */
import type { CredentialFiles } from "../config.ts";
import { ProxyError } from "../errors.ts";
import { WatchedFiles } from "../watched-files.ts";
import { loadCredentials, type Credentials } from "./source.ts";

export type StoreOptions = {
  readonly files: CredentialFiles;
  /** Good ones that differ from those before. A throw keeps the old ones. */
  readonly replaced: (credentials: Credentials) => void;
  /** What stood in the files was no good: the old ones stay. Called once for each different reason. */
  readonly kept: (reason: string) => void;
};

export class CredentialStore {
  readonly #options: StoreOptions;
  readonly #watch: WatchedFiles;
  #current: Credentials;
  #reason = "";

  /** Throws CREDENTIALS_INVALID as `loadCredentials` does. */
  constructor(options: StoreOptions) {
    this.#options = options;
    this.#current = loadCredentials(options.files, Date.now());
    const { certificate, key, trustBundle } = options.files;
    this.#watch = new WatchedFiles([certificate, key, trustBundle], () => {
      this.reload();
    });
  }

  get current(): Credentials {
    return this.#current;
  }

  /** Reads the files now. `tell`: says of bad ones even what it has said before. */
  reload(tell = false): void {
    if (tell) this.#reason = "";
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
    this.#watch.stop();
  }
}

function isSame(a: Credentials, b: Credentials): boolean {
  return (
    a.certificatePem === b.certificatePem &&
    a.keyPem === b.keyPem &&
    a.trustBundlePem === b.trustBundlePem
  );
}
