/** What is intercepted, in which mode, and who is allowed; every rule knows where it was written. Pure. */
import { isSameSocket, type SocketAddress } from "../net/address.ts";
import { addressOf, parseCidr, type Cidr } from "../net/cidr.ts";
import { holdsPort, includesPort, type Ports } from "../net/ports.ts";
import type { IdPattern } from "./id-pattern.ts";

/**
 * What a port takes. strict: mutual TLS. permissive: plain text as well. audit: as permissive, and who speaks
 * plain text is told. passthrough: not intercepted.
 */
export const modes = ["strict", "audit", "permissive", "passthrough"] as const;
export type Mode = (typeof modes)[number];

/** Those that let plain text in. */
export type PlainMode = "audit" | "permissive";

/** How a server is known: by the address that its certificate names, or by its SPIFFE ID. */
export type Verification = "ip" | "spiffe";

/**
 * What the application sees of a client: address and port, the address alone, or the pod itself. As far as the kernel
 * allows: original-source/candidates.ts.
 */
export const sourceModes = ["ip-port", "ip", "off"] as const;
export type SourceMode = (typeof sourceModes)[number];

/** What becomes of TCP to port 53 of the proxy's own name servers where they are in the mesh. */
export const dnsTcpWords = ["leave", "intercept"] as const;
export type DnsTcp = (typeof dnsTcpWords)[number];

/** A value and where it comes from: "default", "--mesh-cidr", "TPROXY_MESH_CIDR", "policy.yaml:12". */
export type Sourced<T> = { readonly value: T; readonly origin: string };

/** Who may come; null: whoever the verification accepts. */
export type Allow = Sourced<readonly IdPattern[] | null>;

/** Of a port, or of a range of them. Null stands for what the rest of the policy says. */
export type PortRule = {
  readonly ports: Ports;
  readonly mode: Sourced<Mode> | null;
  readonly allow: Allow | null;
  readonly preserveSource: Sourced<SourceMode> | null;
  /** Protocols that the application speaks, best first, for foreign TLS clients that want one by ALPN (RFC 7301). */
  readonly alpn: Sourced<readonly string[]> | null;
};

/** Who answers in a range. */
export type ExpectRule = {
  readonly to: Cidr;
  readonly allow: readonly IdPattern[] | null;
  readonly verify: Verification | null;
  /** Protocols that are offered there by ALPN after ours. */
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
    /** Disjoint, in the order of ports. */
    readonly ports: readonly PortRule[];
  };
  readonly outbound: {
    readonly mesh: Sourced<readonly Cidr[]>;
    readonly exclude: Sourced<readonly Cidr[]>;
    /** Destination ports that are diverted, no others. */
    readonly ports: Sourced<"all" | readonly Ports[]>;
    readonly excludePorts: Sourced<readonly Ports[]>;
    readonly expect: readonly ExpectRule[];
    readonly dnsTcp: Sourced<DnsTcp>;
    /** Port 53 of our own name servers that is left alone by `dnsTcp`: resolvers.ts. */
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

/** A port's own, or that of all ports. */
export function sourceModeOf({ inbound }: Policy, port: number): Sourced<SourceMode> {
  return ruleOf(inbound.ports, port)?.preserveSource ?? inbound.preserveSource;
}

function ruleOf(rules: readonly PortRule[], port: number): PortRule | undefined {
  return rules.find((rule) => includesPort(rule.ports, port));
}

/** What a port's application speaks, null where the policy does not say. */
export function spokenOf({ inbound }: Policy, port: number): Sourced<readonly string[]> | null {
  return ruleOf(inbound.ports, port)?.alpn ?? null;
}

/** The rule of the narrowest range that has the address and says who answers there. */
export function expectRuleOf(policy: Policy, address: bigint, family: 4 | 6): ExpectRule | null {
  const says = ({ allow, verify }: ExpectRule): boolean => allow !== null || verify !== null;
  return narrowest(policy.outbound.expect.filter(says), address, family);
}

/** The rule of the narrowest range that has the address and says what is offered there by ALPN. */
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

/** Whether the kernel is to hand over connections to this destination. */
export function isMeshDestination(
  { outbound }: Policy,
  address: Pick<SocketAddress, "bytes" | "family" | "port">,
): boolean {
  const { ports } = outbound;
  const inScope = ports.value === "all" || holdsPort(ports.value, address.port);
  return inScope && isAnsweredThere({ outbound }, address);
}

/**
 * Whether what an application answers to a client with this address is diverted: the scope of ports is of destinations, and a
 * client may have any (intercept/rules/outbound.ts).
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

/** Link-local and multicast, of both families, whatever the mesh: RFC 3927, 5771, 4291. */
export const neverIntercepted: readonly Cidr[] = [
  "169.254.0.0/16",
  "224.0.0.0/4",
  "255.255.255.255",
  "fe80::/10",
  "ff00::/8",
].map(parseCidr);
