/** Reloads credentials and policy while the proxy runs, and logs the result. */
import type { Metrics } from "../connection/metrics.ts";
import type { Config } from "../config.ts";
import type { Credentials } from "../identity/source.ts";
import { CredentialStore } from "./credential-store.ts";
import { describeIdentity, spiffeMistake } from "../identity/certificate.ts";
import { remainingText, watchExpiry, type Validity } from "./expiry.ts";
import { endTicketsRegularly } from "./ticket-end.ts";
import type { Log } from "../runtime/log/log.ts";
import type { Policy } from "../policy/policy.ts";
import { acceptableCredentials } from "./own-credentials.ts";
import { changePolicy, type PolicyReach } from "./policy-change.ts";
import { resolversText } from "../policy/resolvers.ts";
import { PolicyStore, type Changed } from "./policy-store.ts";
import type { FirstRead } from "./watched-files.ts";

export type ReloadOutput = { readonly log: Log; readonly metrics: Metrics };

/** What is in force at the start, as read and judged valid. */
export type FirstReads = {
  readonly credentials: FirstRead<Credentials>;
  readonly policy: FirstRead<Policy>;
};

/** Watches the files from its creation on; changes since the first reads are read at once. */
export class Reloader {
  readonly #config: Config;
  readonly #log: Log;
  readonly #reach: PolicyReach;
  readonly #counts: Readonly<
    Record<"credential" | "policy", (result: "replaced" | "kept") => void>
  >;
  readonly #policies: PolicyStore;
  readonly #credentials: CredentialStore;
  readonly #stack = new DisposableStack();
  #stopped = false;
  #clear = 0;

  constructor(
    config: Config,
    first: FirstReads,
    reach: Omit<PolicyReach, "ending">,
    { log, metrics }: ReloadOutput,
  ) {
    this.#config = config;
    this.#log = log;
    this.#reach = { ...reach, ending: () => this.#stopped };
    this.#counts = {
      credential: reloadsOf(metrics, "credential", "reloads of the credentials"),
      policy: reloadsOf(metrics, "policy", "reloads of the policy"),
    };
    const help = "connections in cleartext that a new policy intercepts, reset";
    metrics.total("tproxy_cleartext_connections_reset_total", help, () => this.#clear);
    const refused = "1 while the credential files are refused and the old credentials are in use";
    metrics.gauge("tproxy_credential_renewal_refused", refused, () =>
      Number(this.#credentials.refusal !== null),
    );
    this.#policies = this.#policyStore(first.policy);
    this.#stack.defer(() => {
      this.#policies.stop();
    });
    this.#credentials = this.#credentialStore(first.credentials);
    this.#stack.defer(() => {
      this.#credentials.stop();
    });
    this.#watchTheClock();
  }

  /** Logs what is in use, and watches the certificate's expiry from now on. */
  introduce(): void {
    const { credentials, policy, credentialsSource } = this.#config;
    const { inForce } = this.#reach;
    const found = describeCredentials(inForce.credentials);
    this.#log.write(
      "I",
      "credentials",
      `${credentials.certificate} (${credentialsSource}): ${found}`,
    );
    this.#nameLeftOut(inForce.credentials);
    if (policy.file !== null) this.#log.write("I", "policy", `${policy.file}: in use`);
    this.#nameResolvers(this.#policies.current);
  }

  /** Reads all files now. */
  readonly reload = (): void => {
    void this.#credentials.reload(true);
    void this.#policies.reload(true);
  };

  readonly stop = (): void => {
    this.#stopped = true;
    this.#stack.dispose();
  };

  /** Watches the expiry of certificates, and ends session tickets regularly. */
  #watchTheClock(): void {
    const { inForce, renew } = this.#reach;
    const warn = (of: Validity): void => {
      this.#log.write("W", "credentials", expiryText(of, this.#credentials, Date.now()));
    };
    this.#stack.defer(watchExpiry(() => inForce.credentials, warn));
    const endTickets = (): void => {
      inForce.endTickets(renew);
    };
    this.#stack.defer(endTicketsRegularly(endTickets, this.#log));
  }

  #nameLeftOut({ leftOut, identity }: Credentials): void {
    const mistake = spiffeMistake(identity);
    if (mistake !== null)
      this.#log.write(
        "W",
        "credentials",
        `the certificate has no SPIFFE ID: ${mistake}. ${peersRefuse}`,
      );
    for (const line of leftOut.slice(0, leftOutShownMax)) this.#log.write("W", "credentials", line);
    const more = leftOut.length - leftOutShownMax;
    if (more > 0) this.#log.write("W", "credentials", `${more} more are not used`);
  }

  #credentialStore(first: FirstRead<Credentials>): CredentialStore {
    return new CredentialStore({
      files: this.#config.credentials,
      first,
      load: async () => await acceptableCredentials(this.#config),
      replaced: (credentials) => {
        this.#reach.inForce.takeCredentials(credentials, this.#reach.renew);
        this.#counts.credential("replaced");
        this.#log.write("I", "credentials", `replaced: ${describeCredentials(credentials)}`);
        this.#nameLeftOut(credentials);
      },
      kept: (reason) => {
        this.#counts.credential("kept");
        const { notAfter } = this.#reach.inForce.credentials;
        const left = remainingText(notAfter - Date.now());
        const text = `the old ones stay in use: ${reason}${reason.endsWith("?") ? "" : "."} They are valid ${left}`;
        this.#log.write("W", "credentials", text);
      },
    });
  }

  /** Logs at the start and at each change which TCP bypasses the mesh by default. */
  #nameResolvers({ outbound: { resolvers } }: Policy): void {
    const { resolvConf } = this.#config.policy;
    if (resolvers.length > 0)
      this.#log.write("I", "dns", `${resolversText(resolvers, resolvConf)} (--dns-tcp leave)`);
  }

  #policyStore(first: FirstRead<Policy>): PolicyStore {
    return new PolicyStore({
      source: this.#config.policy,
      first,
      replaced: async (policy, what) => {
        await this.#replacePolicy(policy, what);
      },
      moved: (policy) => {
        const { inForce } = this.#reach;
        inForce.takePolicy(inForce.appliedOf(policy));
      },
      kept: (reason, what) => {
        const line = reason.replaceAll(/\n\s*/g, "; ");
        if (what === "resolvers") {
          this.#log.write("W", "dns", keptResolversText(this.#config.policy.resolvConf, line));
          return;
        }
        this.#counts.policy("kept");
        this.#log.write("W", "policy", `the old one stays in use: ${line}`);
      },
    });
  }

  async #replacePolicy(policy: Policy, what: Changed): Promise<void> {
    const { carried, clear } = await changePolicy(policy, this.#reach);
    this.#clear += clear.ended;
    if (what === "resolvers") this.#nameResolvers(policy);
    else this.#counts.policy("replaced");
    const text = `replaced: ${carried} live connections are no longer allowed and were reset`;
    const too = clear.ended === 0 ? "" : `, ${clear.ended} in cleartext too`;
    this.#log.write("I", what === "resolvers" ? "dns" : "policy", `${text}${too}`, {
      reset: carried,
      reset_clear: clear.ended,
    });
    if (clear.refusal === null) return;
    const others = `connections in cleartext stay open until they end: ${clear.refusal}`;
    this.#log.write("W", "policy", others);
  }
}

function keptResolversText(file: string, reason: string): string {
  return (
    `${file} names other name servers, and the rules still leave TCP port 53 of the former ones alone: ${reason}. ` +
    "Restart the proxy, with --rules external after tls-tproxy rules --apply"
  );
}

function reloadsOf(
  metrics: Metrics,
  of: string,
  help: string,
): (result: "replaced" | "kept") => void {
  return metrics.counter(`tproxy_${of}_reloads_total`, help, "result", ["replaced", "kept"]);
}

function describeCredentials({ identity, notAfter }: Credentials): string {
  return `${describeIdentity(identity)}, valid until ${new Date(notAfter).toISOString()}`;
}

/** `refusal`: why the files' contents are not in use, null if they are. */
function expiryText(
  { notBefore, notAfter }: Validity,
  { refusal, isUntried }: Pick<CredentialStore, "refusal" | "isUntried">,
  now: number,
): string {
  const at = new Date(notAfter).toISOString();
  const verb = isUntried ? "cannot be tried" : "are refused";
  const advice = refusal === null ? null : `The files ${verb}: ${refusal}`;
  if (now > notAfter)
    return `the certificate has expired at ${at}: peers refuse it. ${advice ?? "Renew it: the proxy reads the new files without a restart"}`;
  const percent = Math.floor((100 * (notAfter - now)) / (notAfter - notBefore));
  return `the certificate expires at ${at}: ${percent} % of its time is left. ${advice ?? "Check that it is being renewed"}`;
}

/** The most unused certificates that are logged: `check` names all of them. */
const leftOutShownMax = 20;
const peersRefuse =
  "Peers that expect a SPIFFE ID refuse it: have it reissued with exactly one URI name";
