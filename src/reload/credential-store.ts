/** The credentials in use: read again when their files change, and replaced only by valid ones. */
import type { CredentialFiles } from "../identity/discovery.ts";
import { ProxyError } from "../runtime/errors.ts";
import { Attempts, type RetryMs } from "./attempts.ts";
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
  readonly retryMs?: RetryMs;
};

export class CredentialStore {
  readonly #options: StoreOptions;
  readonly #attempts: Attempts;
  readonly #watch: WatchedFiles;
  #current: Credentials;
  #reason = "";
  /** The last failure, reported or not. */
  #refusal: string | null = null;
  #isUntried = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#attempts = new Attempts(async () => {
      await this.#take();
    }, options.retryMs);
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

  /** The machine is to blame for the refusal, not the files. */
  get isUntried(): boolean {
    return this.#isUntried;
  }

  /**
   * Reads the files now; readings follow each other. `repeats`: repeats the report of invalid ones. Never rejects except
   * for a bug.
   */
  async reload(repeats = false): Promise<void> {
    if (repeats) this.#reason = "";
    await this.#attempts.run();
  }

  stop(): void {
    this.#attempts.stop();
    this.#watch.stop();
  }

  async #take(): Promise<void> {
    try {
      const found = await this.#options.load();
      if (this.#attempts.isStopped) return;
      if (!isSame(found, this.#current)) this.#options.replaced(found);
      this.#current = found;
      this.#reason = "";
      this.#refusal = null;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      if (!this.#attempts.isStopped) this.#keep(error);
    }
  }

  /**
   * Invalid credentials may become valid without another change of the files: time passes, descriptors become free.
   */
  #keep(error: ProxyError): void {
    this.#refusal = error.message;
    this.#isUntried = error.code === "SYSTEM_CALL";
    const retryMs = this.#retryMsAfter(error);
    this.#attempts.retryIn(retryMs);
    if (this.#reason === error.message) return;
    this.#reason = error.message;
    const again = this.#isUntried ? `. They are tried again in ${retryMs / 1000} s` : "";
    this.#options.kept(error.message + again);
  }

  #retryMsAfter(error: ProxyError): number {
    const { retryMs } = this.#attempts;
    const validFrom = error instanceof CredentialsError ? error.validFrom : null;
    const left = validFrom === null ? Infinity : validFrom - Date.now();
    return left > 0 ? Math.min(left + clockMs, retryMs) : retryMs;
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

/** A timer may be early by a millisecond. */
const clockMs = 20;
