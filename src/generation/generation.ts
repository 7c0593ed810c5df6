/** What the proxy goes by now: credentials and policy. Either is replaced whole; connections ask for it each time. */
import type { TLSOptions } from "bun";

import type { Config } from "../config.ts";
import { ProxyError } from "../errors.ts";
import type { Credentials } from "../identity/source.ts";
import type { Listener } from "../net/listener.ts";
import type { Policy } from "../policy/policy.ts";
import { Rules } from "../policy/rules.ts";
import { dialingOptions, terminatingOptions } from "./tls-options.ts";

/**
 * Each change of either makes listeners anew. So session tickets end with what they were made under: their keys belong
 * to a listener's TLS context, and nothing else can read them (RFC 8446, 4.6.1).
 */
export class Generation {
  /** Those that terminate TLS. */
  listeners: readonly Listener[] = [];
  readonly #config: Config;
  #credentials: Credentials;
  #rules: Rules;
  #dialing: TLSOptions;
  #terminating: TLSOptions;

  /** Throws POLICY_INVALID. */
  constructor(config: Config, credentials: Credentials, policy: Policy) {
    this.#config = config;
    this.#credentials = credentials;
    this.#rules = new Rules(policy, credentials.identity.spiffeId);
    this.#dialing = dialingOptions(credentials, config.tlsVersionMin);
    this.#terminating = terminatingOptions(credentials, config.tlsVersionMin);
  }

  get credentials(): Credentials {
    return this.#credentials;
  }

  get rules(): Rules {
    return this.#rules;
  }

  get dialing(): TLSOptions {
    return this.#dialing;
  }

  get terminating(): TLSOptions {
    return this.#terminating;
  }

  /** Throws CREDENTIALS_INVALID, POLICY_INVALID; then nothing has changed. */
  takeCredentials(credentials: Credentials): void {
    const rules = new Rules(this.#rules.policy, credentials.identity.spiffeId);
    const terminating = terminatingOptions(credentials, this.#config.tlsVersionMin);
    takenBy(this.#config, () => {
      for (const listener of this.listeners) listener.renew(terminating);
    });
    this.#credentials = credentials;
    this.#rules = rules;
    this.#terminating = terminating;
    this.#dialing = dialingOptions(credentials, this.#config.tlsVersionMin);
  }

  /** The rules that a policy would come to. Throws POLICY_INVALID. */
  rulesOf(policy: Policy): Rules {
    return new Rules(policy, this.#credentials.identity.spiffeId);
  }

  takeRules(rules: Rules): void {
    this.#rules = rules;
    for (const listener of this.listeners) listener.renew(this.#terminating);
  }
}

/** Says which files the TLS library has refused. */
export function takenBy<T>({ credentials }: Config, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== "CREDENTIALS_INVALID") throw error;
    const files = `--cert ${credentials.certificate}, --key ${credentials.key}`;
    throw new ProxyError("CREDENTIALS_INVALID", `${files}: ${error.message}`, { cause: error });
  }
}
