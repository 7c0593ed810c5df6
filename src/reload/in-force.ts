/** The credentials and the policy in force. Either is replaced as a whole; connections ask for it each time. */
import type { TLSOptions } from "bun";

import type { Config } from "../config.ts";
import type { CredentialFiles } from "../identity/discovery.ts";
import { ProxyError } from "../runtime/errors.ts";
import type { Credentials } from "../identity/source.ts";
import type { Policy } from "../policy/policy.ts";
import { AppliedPolicy } from "../policy/applied-policy.ts";
import { dialingOptions, offerWith, terminatingOptions } from "../tls/options.ts";

/** Makes the listeners terminate TLS with these options from now on. Throws CREDENTIALS_INVALID, SystemCallError. */
export type Renew = (terminating: TLSOptions) => void;

/**
 * Each change of either makes new TLS contexts. So session tickets end with the state that they were made under:
 * their keys belong to a context, and no other can read them (RFC 8446, 4.6.1).
 */
export class InForce {
  /** The next rules will return fewer answers to us: meanwhile no application may see a client by its own address. */
  isChanging = false;
  readonly #config: Config;
  #number = 1;
  #credentials: Credentials;
  #applied: AppliedPolicy;
  #dialing: TLSOptions;
  #terminating: TLSOptions;
  /** Keyed by the additional protocols; the lists of one policy. */
  readonly #dialingWith = new Map<string, TLSOptions>();

  /** Throws POLICY_INVALID. */
  constructor(config: Config, credentials: Credentials, policy: Policy) {
    this.#config = config;
    this.#credentials = credentials;
    this.#applied = new AppliedPolicy(policy, credentials.identity.spiffeId);
    this.#dialing = this.#dialingOptions();
    this.#terminating = this.#terminatingOptions(credentials);
  }

  get credentials(): Credentials {
    return this.#credentials;
  }

  get applied(): AppliedPolicy {
    return this.#applied;
  }

  get dialing(): TLSOptions {
    return this.#dialing;
  }

  get terminating(): TLSOptions {
    return this.#terminating;
  }

  /** The same with additional ALPN protocols: a TLS context is made once for each list. */
  dialingWith(protocols: readonly string[]): TLSOptions {
    if (protocols.length === 0) return this.#dialing;
    const ALPNProtocols = offerWith(this.#applied.keepsSource, protocols);
    const known = this.#dialingWith.get(ALPNProtocols);
    if (known !== undefined) return known;
    const options = { ...this.#dialing, ALPNProtocols };
    this.#dialingWith.set(ALPNProtocols, options);
    return options;
  }

  /** Throws POLICY_INVALID, or what `renew` throws; then nothing has changed. */
  takeCredentials(credentials: Credentials, renew: Renew): void {
    const applied = new AppliedPolicy(this.#applied.policy, credentials.identity.spiffeId);
    assertSamePeers(this.#config, this.#applied, applied);
    this.#renew(credentials, renew);
    this.#credentials = credentials;
    this.#applied = applied;
    this.#renewDialing();
  }

  /** A policy as it would be applied. Throws POLICY_INVALID. */
  appliedOf(policy: Policy): AppliedPolicy {
    return new AppliedPolicy(policy, this.#credentials.identity.spiffeId);
  }

  /** Takes effect at once; session tickets end with `endTickets`. */
  takePolicy(applied: AppliedPolicy): void {
    this.#applied = applied;
    this.#renewDialing();
  }

  /** Throws ProxyError if the kernel or the TLS library has no room for new contexts. */
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
    const tells = this.#applied.keepsSource;
    return dialingOptions(this.#credentials, this.#config.tlsVersionMin, tells);
  }

  #terminatingOptions(credentials: Credentials): TLSOptions {
    return terminatingOptions(credentials, this.#config.tlsVersionMin, this.#number);
  }
}

/**
 * Settings without a configured value follow from our own certificate, at the start. A renewed certificate that
 * implies other values would silently change who is a peer, so it is refused.
 */
function assertSamePeers(
  { credentials }: Config,
  before: AppliedPolicy,
  after: AppliedPolicy,
): void {
  const same =
    before.verification === after.verification && before.trustDomain === after.trustDomain;
  if (same) return;
  const text =
    `--cert ${credentials.certificate}: its SPIFFE ID would change which peers are accepted (now: ` +
    `${peersText(before)}; with this certificate: ${peersText(after)}). Set --verify and --trust-domain, or restart`;
  throw new ProxyError("CREDENTIALS_INVALID", text);
}

function peersText({ verification, trustDomain }: AppliedPolicy): string {
  return `verify ${verification}, trust domain ${trustDomain ?? "none"}`;
}

/** Adds to an error which files the TLS library has refused. */
export function orNamingFiles<T>({ credentials }: Config, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw namingFiles(credentials, error);
  }
}

/** The TLS library's errors about credentials do not name the files; any other error stays as it is. */
export function namingFiles({ certificate, key }: CredentialFiles, error: unknown): unknown {
  if (!(error instanceof ProxyError) || error.code !== "CREDENTIALS_INVALID") return error;
  const text = `--cert ${certificate}, --key ${key}: ${error.message}`;
  return new ProxyError("CREDENTIALS_INVALID", text, { cause: error });
}
