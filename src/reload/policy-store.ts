/** The policy file and resolv.conf(5), read again when they change. An invalid one changes nothing. */
import { type PolicySource, judgedPolicy } from "../policy/policy-file.ts";
import { ProxyError } from "../runtime/errors.ts";
import { isSameMeaning } from "./difference.ts";
import type { Policy } from "../policy/policy.ts";
import { Attempts, type RetryMs } from "./attempts.ts";
import { signatureOf, WatchedFiles, type FirstRead } from "./watched-files.ts";

export type PolicyStoreOptions = {
  readonly source: PolicySource;
  /** The initial policy: `readPolicy`. */
  readonly first: FirstRead<Policy>;
  /** A valid policy that differs from the former one. A rejection with a ProxyError keeps the old one. */
  readonly replaced: (policy: Policy, what: Changed) => Promise<void>;
  /** A policy that means the same, on other lines. */
  readonly moved: (policy: Policy) => void;
  /** The file's policy was invalid, or could not be applied. Called once for each different reason. */
  readonly kept: (reason: string, what: Changed) => void;
  /** How soon a policy that could not be applied is tried again without a change of the file, doubling each time. */
  readonly retryMs?: RetryMs;
};

/** The policy, or only the name servers in resolv.conf(5). */
export type Changed = "policy" | "resolvers";

export class PolicyStore {
  readonly #options: PolicyStoreOptions;
  readonly #attempts: Attempts;
  readonly #watch: WatchedFiles;
  #current: Policy;
  #reason = "";
  #isWhole = true;

  constructor(options: PolicyStoreOptions) {
    const { source, first } = options;
    this.#options = options;
    this.#attempts = new Attempts(async () => {
      await this.#take();
    }, options.retryMs);
    this.#current = first.value;
    this.#watch = new WatchedFiles(filesOf(source), () => void this.reload(), first.signature);
  }

  get current(): Policy {
    return this.#current;
  }

  /**
   * Reads the file now; changes are applied one after the other. `repeats`: repeats the report of an invalid one. Never
   * rejects except for a bug.
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
   * A policy that could not be read or applied may be applicable later: descriptors or memory become free, another
   * process ends. A mistake stays one.
   */
  #keep(error: ProxyError, what: Changed): void {
    const { retryMs } = this.#attempts;
    const mayWork = error.code === "SYSTEM_CALL" || !this.#isWhole;
    if (mayWork && !this.#attempts.isStopped && error.code !== "RESTART_NEEDED")
      this.#attempts.retryIn(retryMs);
    if (this.#reason === error.message) return;
    this.#reason = error.message;
    const again = error.code === "SYSTEM_CALL" ? `. It is tried again in ${retryMs / 1000} s` : "";
    this.#options.kept(error.message + again, what);
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

function withResolversOf(before: Policy, policy: Policy): Policy {
  const { resolvers } = before.outbound;
  return { ...policy, outbound: { ...policy.outbound, resolvers } };
}
