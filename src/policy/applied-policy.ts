/** The policy as applied to connections, combined with our own identity. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { trustDomainOf, type SpiffeId } from "../identity/spiffe-id.ts";
import type { SocketAddress } from "../net/address.ts";
import { addressOf } from "../net/cidr.ts";
import type { Demand, Expectation } from "./authorize.ts";
import {
  allowOf,
  expectRuleOf,
  isAnsweredThere,
  isMeshDestination,
  modeOf,
  offerRuleOf,
  sourceModeOf,
  spokenOf,
  type Mode,
  type Policy,
  type SourceMode,
  type Verification,
} from "./policy.ts";

type Destination = Pick<SocketAddress, "bytes" | "family" | "port">;

export class AppliedPolicy {
  readonly policy: Policy;
  /** How servers are verified unless a rule says otherwise. */
  readonly verification: Verification;
  /** The trust domain of peers; null if it is not configured and our certificate has none. */
  readonly trustDomain: string | null;

  /** `own`: our certificate's SPIFFE ID. Throws POLICY_INVALID without a trust domain where one is needed. */
  constructor(policy: Policy, own: SpiffeId | null) {
    this.policy = policy;
    this.trustDomain = policy.trustDomain.value ?? (own === null ? null : trustDomainOf(own));
    this.verification = policy.verify.value ?? (own === null ? "ip" : "spiffe");
    const bySpiffe = [this.verification, ...policy.outbound.expect.map(({ verify }) => verify)];
    if (this.trustDomain === null && bySpiffe.includes("spiffe"))
      throw new ProxyError("POLICY_INVALID", noTrustDomain);
  }

  mode(port: number): Mode {
    return modeOf(this.policy, port).value;
  }

  /** Whether to send peers the addresses of our applications' connections, for their applications to see. */
  get keepsSource(): boolean {
    return this.policy.inbound.preserveSource.value !== "off";
  }

  /**
   * `plain`: for a client that speaks cleartext. Unless configured otherwise only its address is preserved, so that
   * the application keeps its own address: clients may use the address that the application names (FTP, SIP).
   */
  sourceMode(port: number, plain: boolean): SourceMode {
    const { value, origin } = sourceModeOf(this.policy, port);
    return plain && origin === "default" ? "ip" : value;
  }

  /** Whether the kernel diverts connections to this destination. */
  diverts(address: Destination): boolean {
    return isMeshDestination(this.policy, address);
  }

  /**
   * Whether the application's answers to a client with this address are led to the proxy:
   * intercept/rules/outbound.ts.
   */
  returnsToProxy(address: Destination): boolean {
    return isAnsweredThere(this.policy, address);
  }

  /** The expected peer at a destination. */
  server(original: SocketAddress): Expectation {
    const rule = expectRuleOf(this.policy, addressOf(original.bytes), original.family);
    const allow = rule?.allow ?? null;
    const verification = rule?.verify ?? this.verification;
    const demands: Demand[] = [];
    if (verification === "ip") demands.push({ kind: "address", address: original });
    if (rule !== null && allow !== null)
      demands.push({ kind: "listed", allow, origin: rule.origin });
    else if (verification === "spiffe") demands.push(...this.#ofTrustDomain());
    return demands;
  }

  /** The application's protocols at a port, for foreign clients that ask by ALPN. */
  spoken(port: number): readonly string[] {
    return spokenOf(this.policy, port)?.value ?? [];
  }

  /** The ALPN protocols offered to a server, after our own. */
  offered({ bytes, family }: SocketAddress): readonly string[] {
    return offerRuleOf(this.policy, addressOf(bytes), family)?.alpn ?? [];
  }

  /** The clients that a port admits. A configured trust domain applies even if servers are verified by address. */
  client(port: number): Expectation {
    const { value: allow, origin } = allowOf(this.policy, port);
    if (allow !== null) return [{ kind: "listed", allow, origin }];
    const written = this.policy.trustDomain.value !== null;
    return this.verification === "spiffe" || written ? this.#ofTrustDomain() : [];
  }

  #ofTrustDomain(): Expectation {
    return this.trustDomain === null ? [] : [{ kind: "workload", trustDomain: this.trustDomain }];
  }
}

const noTrustDomain =
  "verify spiffe: the certificate (--cert) has no SPIFFE ID; name the peers' trust domain with --trust-domain " +
  "(trustDomain in the policy)";
