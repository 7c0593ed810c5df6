/** What is intercepted, in which mode, and who is allowed; every rule has its origin. Pure. */
import { isSameSocket, type SocketAddress } from "../net/address.ts";
import { addressOf, parseCidr, type Cidr } from "../net/cidr.ts";
import { holdsPort, includesPort, type Ports } from "../net/ports.ts";
import type { IdPattern } from "./id-pattern.ts";

/**
 * What a port accepts. strict: mutual TLS. permissive: cleartext as well. audit: like permissive, and cleartext
 * clients are logged. passthrough: not intercepted.
 */
export const modes = ["strict", "audit", "permissive", "passthrough"] as const;
export type Mode = (typeof modes)[number];

/** The modes that admit cleartext. */
export type PlainMode = "audit" | "permissive";

/** How a server is verified: by the address in its certificate, or by its SPIFFE ID. */
export type Verification = "ip" | "spiffe";

/**
 * What the application sees of a client: address and port, only the address, or the pod itself. As far as the kernel
 * allows: original-source/candidates.ts.
 */
export const sourceModes = ["ip-port", "ip", "off"] as const;
export type SourceMode = (typeof sourceModes)[number];

/** How TCP to port 53 of the proxy's own name servers is treated if they are in the mesh. */
export const dnsTcpWords = ["leave", "intercept"] as const;
export type DnsTcp = (typeof dnsTcpWords)[number];

/** A value and its origin: "default", "--mesh-cidr", "TPROXY_MESH_CIDR", "policy.yaml:12". */
export type Sourced<T> = { readonly value: T; readonly origin: string };

/** The admitted peers; null: all that pass the verification. */
export type Allow = Sourced<readonly IdPattern[] | null>;

/** For a port, or for a range of them. Null means the rest of the policy applies. */
export type PortRule = {
  readonly ports: Ports;
  readonly mode: Sourced<Mode> | null;
  readonly allow: Allow | null;
  readonly preserveSource: Sourced<SourceMode> | null;
  /** The application's protocols, best first, for foreign TLS clients that request one by ALPN (RFC 7301). */
  readonly alpn: Sourced<readonly string[]> | null;
};

/** The expected servers in a range. */
export type ExpectRule = {
  readonly to: Cidr;
  readonly allow: readonly IdPattern[] | null;
  readonly verify: Verification | null;
  /** Additional protocols offered there by ALPN, after ours. */
  readonly alpn: readonly string[] | null;
  readonly origin: string;
};

export type Policy = {
  /** Null for our own certificate's. */
  readonly trustDomain: Sourced<string | null>;
  /** Null: by SPIFFE ID if our own certificate has one, else by address. */
  readonly verify: Sourced<Verification | null>;
  readonly inbound: {
    readonly mode: Sourced<Mode>;
    readonly allow: Allow;
    readonly preserveSource: Sourced<SourceMode>;
    /** Disjoint, sorted by port. */
    readonly ports: readonly PortRule[];
  };
  readonly outbound: {
    readonly mesh: Sourced<readonly Cidr[]>;
    readonly exclude: Sourced<readonly Cidr[]>;
    /** The only destination ports that are diverted. */
    readonly ports: Sourced<"all" | readonly Ports[]>;
    readonly excludePorts: Sourced<readonly Ports[]>;
    readonly expect: readonly ExpectRule[];
    readonly dnsTcp: Sourced<DnsTcp>;
    /** Port 53 of our own name servers that `dnsTcp` exempts: resolvers.ts. */
    readonly resolvers: readonly SocketAddress[];
  };
};

/** A port's own mode, or that of all ports. */
export function modeOf({ inbound }: Policy, port: number): Sourced<Mode> {
  return ruleOf(inbound.ports, port)?.mode ?? inbound.mode;
}

/** A port's own list, or that of all ports. */
export function allowOf({ inbound }: Policy, port: number): Allow {
  return ruleOf(inbound.ports, port)?.allow ?? inbound.allow;
}

/** A port's own source mode, or that of all ports. */
export function sourceModeOf({ inbound }: Policy, port: number): Sourced<SourceMode> {
  return ruleOf(inbound.ports, port)?.preserveSource ?? inbound.preserveSource;
}

function ruleOf(rules: readonly PortRule[], port: number): PortRule | undefined {
  return rules.find((rule) => includesPort(rule.ports, port));
}

/** The protocols of a port's application, null if the policy does not name any. */
export function spokenOf({ inbound }: Policy, port: number): Sourced<readonly string[]> | null {
  return ruleOf(inbound.ports, port)?.alpn ?? null;
}

/** The rule of the narrowest range that contains the address and names the expected server. */
export function expectRuleOf(policy: Policy, address: bigint, family: 4 | 6): ExpectRule | null {
  const says = ({ allow, verify }: ExpectRule): boolean => allow !== null || verify !== null;
  return narrowest(policy.outbound.expect.filter(says), address, family);
}

/** The rule of the narrowest range that contains the address and names additional ALPN protocols. */
export function offerRuleOf(policy: Policy, address: bigint, family: 4 | 6): ExpectRule | null {
  const says = ({ alpn }: ExpectRule): boolean => alpn !== null;
  return narrowest(policy.outbound.expect.filter(says), address, family);
}

function narrowest(
  rules: readonly ExpectRule[],
  address: bigint,
  family: 4 | 6,
): ExpectRule | null {
  let found: ExpectRule | null = null;
  for (const rule of rules) {
    if (!contains(rule.to, address, family)) continue;
    if (found === null || sizeOf(rule.to) < sizeOf(found.to)) found = rule;
  }
  return found;
}

/** Whether the kernel diverts connections to this destination. */
export function isMeshDestination(
  { outbound }: Policy,
  address: Pick<SocketAddress, "bytes" | "family" | "port">,
): boolean {
  const { ports } = outbound;
  const inScope = ports.value === "all" || holdsPort(ports.value, address.port);
  return inScope && isAnsweredThere({ outbound }, address);
}

/**
 * Whether an application's answers to a client with this address are diverted: the scope of ports is for
 * destinations, and a client may have any port (intercept/rules/outbound.ts).
 */
export function isAnsweredThere(
  { outbound }: Pick<Policy, "outbound">,
  { bytes, family, port }: Pick<SocketAddress, "bytes" | "family" | "port">,
): boolean {
  const { mesh, exclude, excludePorts, resolvers } = outbound;
  if (resolvers.some((one) => isSameSocket(one, { bytes, port }))) return false;
  const at = addressOf(bytes);
  const isIn = (ranges: readonly Cidr[]): boolean =>
    ranges.some((range) => contains(range, at, family));
  const left = isIn(exclude.value) || isIn(neverIntercepted);
  return isIn(mesh.value) && !left && !holdsPort(excludePorts.value, port);
}

export function contains({ family, first, last }: Cidr, address: bigint, of: 4 | 6): boolean {
  return family === of && first <= address && address <= last;
}

function sizeOf({ first, last }: Cidr): bigint {
  return last - first;
}

/** The private ranges: RFC 1918, RFC 6598, RFC 4193. */
export const defaultMeshRanges: readonly Cidr[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
].map(parseCidr);

/** Link-local and multicast of both families, whatever the mesh: RFC 3927, 5771, 4291. */
export const neverIntercepted: readonly Cidr[] = [
  "169.254.0.0/16",
  "224.0.0.0/4",
  "255.255.255.255",
  "fe80::/10",
  "ff00::/8",
].map(parseCidr);
