/** The policy file and resolv.conf(5), read again when they change. An invalid one changes nothing. */
import { type PolicySource, judgedPolicy } from "../policy/policy-file.ts";
import { Deadline } from "../runtime/deadline.ts";
import { ProxyError } from "../runtime/errors.ts";
import { isSameMeaning } from "./difference.ts";
import type { Policy } from "../policy/policy.ts";
import { signatureOf, WatchedFiles, type FirstRead } from "./watched-files.ts";

export type PolicyStoreOptions = {
  readonly source: PolicySource;
  /** The initial policy: `readPolicy`. */
  readonly first: FirstRead<Policy>;
  /** A valid policy that differs from the former one. A rejection with a ProxyError keeps the old one. */
  readonly replaced: (policy: Policy, what: Changed) => Promise<void>;
  /** A policy with the same rules on other lines. */
  readonly moved: (policy: Policy) => void;
  /** The file's policy was invalid, or could not be applied. Called once for each different reason. */
  readonly kept: (reason: string, what: Changed) => void;
  /** How soon a policy that could not be applied is tried again without a change of the file, doubling each time. */
  readonly retryMs?: { readonly first: number; readonly max: number };
};

/** The policy, or only the name servers in resolv.conf(5). */
export type Changed = "policy" | "resolvers";

export class PolicyStore {
  readonly #options: PolicyStoreOptions;
  readonly #watch: WatchedFiles;
  #current: Policy;
  #reason = "";
  #isWhole = true;
  #changing = false;
  #again = false;
  #stopped = false;
  #retry: Deadline | null = null;
  readonly #retryMsOf: { readonly first: number; readonly max: number };
  #retryMs: number;

  constructor(options: PolicyStoreOptions) {
    const { source, first } = options;
    this.#options = options;
    this.#retryMsOf = options.retryMs ?? defaultRetryMs;
    this.#retryMs = this.#retryMsOf.first;
    this.#current = first.value;
    this.#watch = new WatchedFiles(filesOf(source), () => void this.reload(), first.signature);
  }

  get current(): Policy {
    return this.#current;
  }

  /**
   * Reads the file now; changes are applied one after the other. `tell`: repeats the report of an invalid one. Never
   * rejects except for a bug.
   */
  async reload(tell = false): Promise<void> {
    this.#again = true;
    if (tell) this.#reason = "";
    if (this.#changing) return;
    this.#changing = true;
    this.#retryMs = this.#retryMsOf.first;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        // oxlint-disable-next-line no-await-in-loop -- one change after the other
        await this.#take();
      }
    } finally {
      this.#changing = false;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.clear();
    this.#watch.stop();
  }

  async #take(): Promise<void> {
    this.#retry?.clear();
    let what: Changed = "policy";
    try {
      const found = judgedPolicy(this.#options.source, this.#current);
      if (this.#isWhole && isSameMeaning(found, this.#current)) {
        this.#reason = "";
        if (!Bun.deepEquals(found, this.#current)) this.#options.moved(found);
      } else {
        if (isSameMeaning(withResolversOf(this.#current, found), this.#current)) what = "resolvers";
        // Until it has succeeded, it is unknown which parts of it are in force.
        this.#isWhole = false;
        await this.#options.replaced(found, what);
        this.#isWhole = true;
        this.#reason = "";
      }
      this.#current = found;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#keep(error, what);
    }
  }

  /**
   * A policy that could not be applied may be applicable later: memory becomes free, another process ends. A mistake
   * stays one.
   */
  #keep(error: ProxyError, what: Changed): void {
    if (!this.#isWhole && !this.#stopped && error.code !== "RESTART_NEEDED")
      this.#retry = new Deadline(this.#retryMs, () => void this.#takeAgain());
    if (this.#reason === error.message) return;
    this.#reason = error.message;
    this.#options.kept(error.message, what);
  }

  async #takeAgain(): Promise<void> {
    if (this.#changing) return;
    const retryMs = Math.min(2 * this.#retryMs, this.#retryMsOf.max);
    const ended = this.reload();
    this.#retryMs = retryMs;
    await ended;
  }
}

/** The policy for a start. Throws USAGE, POLICY_INVALID. */
export function readPolicy(source: PolicySource): FirstRead<Policy> {
  const signature = signatureOf(filesOf(source));
  return { value: judgedPolicy(source, null), signature };
}

function filesOf({ file, resolvConf }: PolicySource): readonly string[] {
  return [...(file === null ? [] : [file]), resolvConf];
}

const defaultRetryMs = { first: 5000, max: 300_000 };

function withResolversOf(before: Policy, policy: Policy): Policy {
  const { resolvers } = before.outbound;
  return { ...policy, outbound: { ...policy.outbound, resolvers } };
}
