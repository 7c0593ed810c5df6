/** The credentials in use: read again when their files change, and replaced only by valid ones. */
import type { CredentialFiles } from "../identity/discovery.ts";
import { Deadline } from "../runtime/deadline.ts";
import { ProxyError } from "../runtime/errors.ts";
import { signatureOf, WatchedFiles, type FirstRead } from "./watched-files.ts";
import { CredentialsError } from "../identity/credentials-error.ts";
import type { Credentials } from "../identity/source.ts";

export type StoreOptions = {
  readonly files: CredentialFiles;
  /** The initial credentials. */
  readonly first: FirstRead<Credentials>;
  /** Reads and judges the files' current contents. Rejects with CREDENTIALS_INVALID. */
  readonly load: () => Promise<Credentials>;
  /** Valid credentials that differ from the former ones. A throw keeps the old ones. */
  readonly replaced: (credentials: Credentials) => void;
  /** The files' contents were invalid: the old credentials stay. Called once for each different reason. */
  readonly kept: (reason: string) => void;
  /** How soon refused files are read again without a change of theirs, doubling each time. */
  readonly retryMs?: { readonly first: number; readonly max: number };
};

export class CredentialStore {
  readonly #options: StoreOptions;
  readonly #watch: WatchedFiles;
  #current: Credentials;
  #reason = "";
  /** The last failure, reported or not. */
  #refusal: string | null = null;
  #loading = false;
  #again = false;
  #stopped = false;
  #retry: Deadline | null = null;
  readonly #retryMsOf: { readonly first: number; readonly max: number };
  #retryMs: number;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#retryMsOf = options.retryMs ?? defaultRetryMs;
    this.#retryMs = this.#retryMsOf.first;
    this.#current = options.first.value;
    const { files, first } = options;
    this.#watch = new WatchedFiles(pathsOf(files), () => void this.reload(), first.signature);
  }

  get current(): Credentials {
    return this.#current;
  }

  /** Why the files' contents are not in use; null if they are. */
  get refusal(): string | null {
    return this.#refusal;
  }

  /**
   * Reads the files now; readings follow each other. `tell`: repeats the report of invalid ones. Never rejects except
   * for a bug.
   */
  async reload(tell = false): Promise<void> {
    this.#again = true;
    if (tell) this.#reason = "";
    if (this.#loading) return;
    this.#loading = true;
    this.#retryMs = this.#retryMsOf.first;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        // oxlint-disable-next-line no-await-in-loop -- one reading after the other
        await this.#take();
      }
    } finally {
      this.#loading = false;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.clear();
    this.#watch.stop();
  }

  async #take(): Promise<void> {
    this.#retry?.clear();
    try {
      const found = await this.#options.load();
      if (this.#stopped) return;
      if (!isSame(found, this.#current)) this.#options.replaced(found);
      this.#current = found;
      this.#reason = "";
      this.#refusal = null;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      if (!this.#stopped) this.#keep(error);
    }
  }

  /**
   * Invalid credentials may become valid without another change of the files: time passes, descriptors become free.
   */
  #keep(error: ProxyError): void {
    this.#refusal = error.message;
    this.#retry = new Deadline(this.#retryIn(error), () => void this.#takeAgain());
    if (this.#reason === error.message) return;
    this.#reason = error.message;
    this.#options.kept(error.message);
  }

  async #takeAgain(): Promise<void> {
    if (this.#loading) return;
    const retryMs = Math.min(2 * this.#retryMs, this.#retryMsOf.max);
    const ended = this.reload();
    this.#retryMs = retryMs;
    await ended;
  }

  #retryIn(error: ProxyError): number {
    const validFrom = error instanceof CredentialsError ? error.validFrom : null;
    const left = validFrom === null ? Infinity : validFrom - Date.now();
    return left > 0 ? Math.min(left + clockMs, this.#retryMs) : this.#retryMs;
  }
}

/** Reads the initial credentials by `load`; rejects as `load` does. */
export async function readCredentials(
  files: CredentialFiles,
  load: () => Promise<Credentials>,
): Promise<FirstRead<Credentials>> {
  const signature = signatureOf(pathsOf(files));
  return { value: await load(), signature };
}

function pathsOf({ certificate, key, trustBundle }: CredentialFiles): readonly string[] {
  return [certificate, key, trustBundle];
}

function isSame(a: Credentials, b: Credentials): boolean {
  return (
    a.certificatePem === b.certificatePem &&
    a.keyPem === b.keyPem &&
    a.trustBundlePem === b.trustBundlePem
  );
}

const defaultRetryMs = { first: 5000, max: 300_000 };
/** A timer may be early by a millisecond. */
const clockMs = 20;
