/** Whether a peer with a valid certificate is an expected one: compares its identity with the demands. Pure. */
import type { PeerIdentity } from "../identity/certificate.ts";
import { trustDomainOf } from "../identity/spiffe-id.ts";
import { quoteUnlessPlain } from "../runtime/log/escape.ts";
import { formatIp, type SocketAddress } from "../net/address.ts";
import { matches, type IdPattern } from "./id-pattern.ts";

/** One demand on a peer's certificate. */
export type Demand =
  /** It must name this address. */
  | { readonly kind: "address"; readonly address: SocketAddress }
  /** It must be of a workload of this trust domain. */
  | { readonly kind: "workload"; readonly trustDomain: string }
  /** It must be of a workload that matches one of this rule's patterns. */
  | { readonly kind: "listed"; readonly allow: readonly IdPattern[]; readonly origin: string };

/** All of them must be met; an empty list admits all that the trust bundle vouches for. */
export type Expectation = readonly Demand[];

/** The reasons in tls/failure.ts that concern an identity. */
export type IdentityFault = "wrong-address" | "no-spiffe-id" | "wrong-trust-domain" | "not-allowed";

export type IdentityRefusal = { readonly reason: IdentityFault; readonly detail: string };

/** Null if the peer is an expected one, else the first demand that it does not meet. */
export function authorize(
  identity: PeerIdentity,
  expectation: Expectation,
): IdentityRefusal | null {
  for (const demand of expectation) {
    const refusal = refusalOf(identity, demand);
    if (refusal !== null) return refusal;
  }
  return null;
}

function refusalOf(identity: PeerIdentity, demand: Demand): IdentityRefusal | null {
  switch (demand.kind) {
    case "address":
      return addressRefusal(identity, demand.address);
    case "workload":
      return domainRefusal(identity, demand.trustDomain);
    case "listed":
      return listRefusal(identity, demand);
  }
}

function addressRefusal(identity: PeerIdentity, address: SocketAddress): IdentityRefusal | null {
  if (identity.ips.some((ip) => sameBytes(ip, address.bytes))) return null;
  return { reason: "wrong-address", detail: namesText(identity, formatIp(address.bytes)) };
}

function domainRefusal(identity: PeerIdentity, trustDomain: string): IdentityRefusal | null {
  const { spiffeId } = identity;
  if (spiffeId === null) return withoutId(identity);
  if (trustDomainOf(spiffeId) === trustDomain) return null;
  const detail = `${spiffeId} is not of the trust domain ${trustDomain} (--trust-domain)`;
  return { reason: "wrong-trust-domain", detail };
}

function listRefusal(
  identity: PeerIdentity,
  { allow, origin }: Demand & { readonly kind: "listed" },
): IdentityRefusal | null {
  const { spiffeId } = identity;
  if (spiffeId === null) return withoutId(identity);
  if (allow.some((pattern) => matches(pattern, spiffeId))) return null;
  const who = allow.map(({ text }) => text);
  const detail = `${spiffeId} is not one of those allowed here: ${listed(who, "none")} (${origin})`;
  return { reason: "not-allowed", detail };
}

function withoutId({ spiffeFault }: PeerIdentity): IdentityRefusal {
  const detail = `certificate has no SPIFFE ID: ${spiffeFault ?? "none"}`;
  return { reason: "no-spiffe-id", detail };
}

/** The words of Go's x509 package, which operators search for. */
function namesText({ ips, otherNames }: PeerIdentity, wanted: string): string {
  if (ips.length > 0)
    return `certificate is valid for ${listed(ips.map(formatIp), "")}, not ${wanted}`;
  return `certificate is valid for no address (it names ${listed(otherNames.map(shownName), "nothing")}), not ${wanted}`;
}

function listed(names: readonly string[], none: string): string {
  if (names.length === 0) return none;
  return names.slice(0, namesShownMax).join(", ") + (names.length > namesShownMax ? ", …" : "");
}

function shownName(name: string): string {
  return quoteUnlessPlain(name, nameLengthMax);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

const namesShownMax = 8;
/** The length limit of DNS names: RFC 1035, 2.3.4. */
const nameLengthMax = 255;
