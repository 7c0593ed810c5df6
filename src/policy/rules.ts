/** The policy as connections meet it, once it is known who we are ourselves. Pure. */
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

export class Rules {
  readonly policy: Policy;
  /** How servers are known where no rule says otherwise. */
  readonly verification: Verification;
  /** Whose workloads are peers; null if nobody has said and we have none ourselves. */
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

  /** Whether peers are told where our connections come from, so that their applications may see it. */
  get keepsSource(): boolean {
    return this.policy.inbound.preserveSource.value !== "off";
  }

  /**
   * `plain`: for a client that speaks plain text. Unless somebody has written otherwise that one keeps its address alone,
   * which leaves the application its own: what it names as its address is for the client to use (FTP, SIP).
   */
  sourceMode(port: number, plain: boolean): SourceMode {
    const { value, origin } = sourceModeOf(this.policy, port);
    return plain && origin === "default" ? "ip" : value;
  }

  /** Whether the kernel is to hand over connections to this destination. */
  diverts(address: Destination): boolean {
    return isMeshDestination(this.policy, address);
  }

  /** Whether what the application answers to a client with this address is led to the proxy: intercept/rules/outbound.ts. */
  returnsToProxy(address: Destination): boolean {
    return isAnsweredThere(this.policy, address);
  }

  /** Who has to be found at a destination. */
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

  /** What the application at a port speaks, for foreign clients that ask by ALPN. */
  spoken(port: number): readonly string[] {
    return spokenOf(this.policy, port)?.value ?? [];
  }

  /** What is offered to a server by ALPN, after our own protocols. */
  offered({ bytes, family }: SocketAddress): readonly string[] {
    return offerRuleOf(this.policy, addressOf(bytes), family)?.alpn ?? [];
  }

  /** Who may come to a port. A trust domain that somebody wrote holds even where servers are known by address. */
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
