/** What the proxy goes by now: credentials and policy. Either is replaced whole; connections ask for it each time. */
import type { TLSOptions } from "bun";

import type { Config } from "../config.ts";
import type { CredentialFiles } from "../identity/discovery.ts";
import { ProxyError } from "../runtime/errors.ts";
import type { Credentials } from "../identity/source.ts";
import type { Policy } from "../policy/policy.ts";
import { Rules } from "../policy/rules.ts";
import { dialingOptions, offerWith, terminatingOptions } from "../tls/options.ts";

/** Has the listeners terminate TLS by these from now on. Throws CREDENTIALS_INVALID, SystemCallError. */
export type Renew = (terminating: TLSOptions) => void;

/**
 * Each change of either makes TLS contexts anew. So session tickets end with what they were made under: their keys belong
 * to a context, and nothing else can read them (RFC 8446, 4.6.1).
 */
export class InForce {
  /** The rules are about to lead fewer answers back: no application is to see a client by its own address meanwhile. */
  isChanging = false;
  readonly #config: Config;
  #number = 1;
  #credentials: Credentials;
  #rules: Rules;
  #dialing: TLSOptions;
  #terminating: TLSOptions;
  /** By what is offered more; the lists of one policy. */
  readonly #dialingWith = new Map<string, TLSOptions>();

  /** Throws POLICY_INVALID. */
  constructor(config: Config, credentials: Credentials, policy: Policy) {
    this.#config = config;
    this.#credentials = credentials;
    this.#rules = new Rules(policy, credentials.identity.spiffeId);
    this.#dialing = this.#dialingOptions();
    this.#terminating = this.#terminatingOptions(credentials);
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

  /** The same with more protocols to offer: a TLS context is made once for each list. */
  dialingWith(protocols: readonly string[]): TLSOptions {
    if (protocols.length === 0) return this.#dialing;
    const ALPNProtocols = offerWith(this.#rules.keepsSource, protocols);
    const known = this.#dialingWith.get(ALPNProtocols);
    if (known !== undefined) return known;
    const options = { ...this.#dialing, ALPNProtocols };
    this.#dialingWith.set(ALPNProtocols, options);
    return options;
  }

  /** Throws POLICY_INVALID and what `renew` throws; then nothing has changed. */
  takeCredentials(credentials: Credentials, renew: Renew): void {
    const rules = new Rules(this.#rules.policy, credentials.identity.spiffeId);
    assertSamePeers(this.#config, this.#rules, rules);
    this.#renew(credentials, renew);
    this.#credentials = credentials;
    this.#rules = rules;
    this.#renewDialing();
  }

  /** The rules that a policy would come to. Throws POLICY_INVALID. */
  rulesOf(policy: Policy): Rules {
    return new Rules(policy, this.#credentials.identity.spiffeId);
  }

  /** In force at once; session tickets end with `endTickets`. */
  takeRules(rules: Rules): void {
    this.#rules = rules;
    this.#renewDialing();
  }

  /** Throws what `renew` throws: the kernel or the TLS library may have no place for new contexts. */
  endTickets(renew: Renew): void {
    this.#renew(this.#credentials, renew);
  }

  #renew(credentials: Credentials, renew: Renew): void {
    this.#number += 1;
    const terminating = this.#terminatingOptions(credentials);
    renew(terminating);
    this.#terminating = terminating;
  }

  #renewDialing(): void {
    this.#dialing = this.#dialingOptions();
    this.#dialingWith.clear();
  }

  #dialingOptions(): TLSOptions {
    const tells = this.#rules.keepsSource;
    return dialingOptions(this.#credentials, this.#config.tlsVersionMin, tells);
  }

  #terminatingOptions(credentials: Credentials): TLSOptions {
    return terminatingOptions(credentials, this.#config.tlsVersionMin, this.#number);
  }
}

/**
 * What nobody has said follows from our own certificate, at the start. A renewed one that says something else would
 * change who is a peer, in silence: it is refused.
 */
function assertSamePeers({ credentials }: Config, before: Rules, after: Rules): void {
  const same =
    before.verification === after.verification && before.trustDomain === after.trustDomain;
  if (same) return;
  const text =
    `--cert ${credentials.certificate}: its SPIFFE ID would change which peers are accepted (${peersText(before)} before, ` +
    `${peersText(after)} with it). Set --verify and --trust-domain, or restart`;
  throw new ProxyError("CREDENTIALS_INVALID", text);
}

function peersText({ verification, trustDomain }: Rules): string {
  return `verify ${verification}, trust domain ${trustDomain ?? "none"}`;
}

/** Says which files the TLS library has refused. */
export function orNamingFiles<T>({ credentials }: Config, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw namingFiles(credentials, error);
  }
}

/** What the TLS library says of credentials does not name them; any other error stays as it is. */
export function namingFiles({ certificate, key }: CredentialFiles, error: unknown): unknown {
  if (!(error instanceof ProxyError) || error.code !== "CREDENTIALS_INVALID") return error;
  const text = `--cert ${certificate}, --key ${key}: ${error.message}`;
  return new ProxyError("CREDENTIALS_INVALID", text, { cause: error });
}
