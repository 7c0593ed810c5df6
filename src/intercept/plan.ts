/** What the kernel is asked to do, as data: sets, chains of rules, and the way to `lo`. Pure. */
import type { Interception, Mark } from "../config.ts";
import { intervalsOf, type Cidr, type Interval } from "../net/cidr.ts";
import type { SocketAddress } from "../net/address.ts";
import { insideMark, ownMark } from "./marks.ts";
import { neverIntercepted } from "../policy/policy.ts";
import {
  connectRules,
  openProbeRules,
  probeChains,
  probeReplyRules,
  probeSets,
  readRules,
} from "./probes.ts";

export type Family = 4 | 6;

/** Fields of a packet that are looked up in sets, and the set's key in the same order. */
export type Field = "saddr" | "sport" | "daddr" | "dport" | "uid";

export type SetPlan = {
  readonly name: string;
  readonly family: Family;
  readonly fields: readonly Field[];
  readonly elements:
    | { readonly kind: "intervals"; readonly intervals: readonly Interval[] }
    | { readonly kind: "numbers"; readonly numbers: readonly number[] }
    | { readonly kind: "destinations"; readonly destinations: readonly SocketAddress[] }
    /** Connections from before the rules; packets take elements out. */
    | { readonly kind: "connections" };
};

/** One step of a rule: a match that ends the rule if it fails, or an act. */
export type Step =
  | { readonly kind: "fwmark"; readonly equals: number }
  | { readonly kind: "loopback"; readonly way: "iifname" | "oifname"; readonly is: boolean }
  | { readonly kind: "tcp"; readonly is: boolean }
  /** From or to the pod's own name for itself: net/alias.ts. */
  | { readonly kind: "alias"; readonly way: "saddr" | "daddr"; readonly family: Family }
  /** First packet of a connection: SYN without ACK. */
  | { readonly kind: "opening" }
  /** RST. */
  | { readonly kind: "resetting" }
  /** Headers of so many words, and nothing after them; the IP header has no options. */
  | { readonly kind: "no-data"; readonly family: Family; readonly words: number }
  /** A socket here takes the packet: one that listens, too. */
  | { readonly kind: "socket" }
  | { readonly kind: "in-set"; readonly set: string; readonly is: boolean }
  | { readonly kind: "not-local-destination" }
  | { readonly kind: "reply" }
  | { readonly kind: "connection-mark"; readonly equals: number; readonly is: boolean }
  /** `answers`: the key is that of the packets of the other direction. */
  | { readonly kind: "forget"; readonly set: string; readonly answers: boolean }
  | { readonly kind: "set-fwmark"; readonly value: number }
  | { readonly kind: "set-connection-mark"; readonly value: number }
  | { readonly kind: "tproxy"; readonly family: Family; readonly port: number }
  | { readonly kind: "verdict"; readonly verdict: "accept" | "drop" | "return" }
  /** The rest is that chain's to decide. */
  | { readonly kind: "goto"; readonly chain: string }
  /** Answers with RST; after a match on TCP. */
  | { readonly kind: "reset" };

export type Rule = readonly Step[];

export type ChainPlan = {
  readonly name: string;
  /** Null for a chain that rules lead to. */
  readonly base: {
    readonly type: "filter" | "route";
    readonly hook: Hook;
  } | null;
  readonly rules: readonly Rule[];
};

export type Plan = {
  readonly table: string;
  /** Shown by nft; says which proxy the rules serve (`portsOf`). */
  readonly comment: string;
  readonly mark: Mark;
  readonly sets: readonly SetPlan[];
  readonly chains: readonly ChainPlan[];
  /** The routing table that leads marked packets to `lo`, and the priority of the rule that asks it. */
  readonly routing: { readonly table: number; readonly priority: number };
};

/** Sets of the connections that were open before the rules. */
export const openBefore = { 4: "open-before4", 6: "open-before6" } as const;

/** Where a field stands in the packets of the other direction. */
export const otherWay: Readonly<Record<Field, Field>> = {
  saddr: "daddr",
  sport: "dport",
  daddr: "saddr",
  dport: "sport",
  uid: "uid",
};

/** Throws for a plan that names a set it does not have, which is a bug. */
export function setOf(plan: Plan, name: string): SetPlan {
  const set = plan.sets.find((one) => one.name === name);
  if (set === undefined) throw new Error(`the plan has no set ${name}`);
  return set;
}

/** All chains' priority: `mangle`, after conntrack, before NAT. */
export const priority = -150;

export function planOf(interception: Interception): Plan {
  return {
    ...frameOf(interception),
    chains: [
      ...probeChains(interception.probes),
      base("output", "route", outputRules(interception)),
      base("postrouting", "filter", guardRules(interception.mark)),
      base("prerouting", "filter", preroutingRules(interception)),
    ],
  };
}

/**
 * Stands for the moment in which the kernel's sockets are counted: no connection that the plan would divert
 * begins, those that are open go on.
 */
export function gateOf(interception: Interception): Plan {
  return {
    ...frameOf(interception),
    chains: [
      base("output", "filter", [...leftAloneOutbound(interception), dropOpening]),
      base("prerouting", "filter", [...leftAloneInbound(interception), dropOpening]),
    ],
  };
}

/**
 * Stands while the policy changes to one that leaves more alone: no outbound connection begins that would be diverted
 * now, those that are diverted go on.
 */
export function heldOf(interception: Interception): Plan {
  const plan = planOf(interception);
  const chains = plan.chains.map((chain) =>
    chain.name === "output" ? { ...chain, rules: outputRules(interception, [dropOpening]) } : chain,
  );
  return { ...plan, chains };
}

/**
 * Stands when a proxy has ended and its rules stay: what would be diverted is reset, so that nobody waits for an
 * answer that cannot come, and nothing passes in clear.
 */
export function closedOf(interception: Interception): Plan {
  const plan = planOf(interception);
  const closed = (chain: ChainPlan): ChainPlan => {
    if (chain.name === "output") return { ...chain, rules: letResetsOut(chain.rules) };
    return chain.name === "prerouting" ? { ...chain, rules: closedRules(interception) } : chain;
  };
  return { ...plan, chains: plan.chains.map(closed) };
}

type Hook = "output" | "postrouting" | "prerouting";

function base(hook: Hook, type: "filter" | "route", rules: readonly Rule[]): ChainPlan {
  return { name: hook, base: { type, hook }, rules };
}

/** The ports of the proxy that a table's comment names, or null for another comment. */
export function portsOf(comment: string): { readonly tcp: number; readonly tls: number } | null {
  const match = /ports (\d{1,5}) and (\d{1,5})$/.exec(comment);
  return match === null ? null : { tcp: Number(match[1]), tls: Number(match[2]) };
}

/** Elements that the sets of open connections take at least. */
export const openBeforeSizeMin = 65_536;

function frameOf(interception: Interception): Omit<Plan, "chains"> {
  return {
    table: "tls-tproxy",
    comment: `diverts to the proxy on ports ${interception.tcpPort} and ${interception.tlsPort}`,
    mark: interception.mark,
    sets: setsOf(interception),
    routing: { table: 29_808, priority: 100 },
  };
}

function setsOf(of: Interception): readonly SetPlan[] {
  const excluded = [...of.excludedRanges, ...neverIntercepted];
  return [
    ...ranges("mesh", of.meshRanges),
    ...ranges("excluded", excluded),
    ...numbers("excluded-outbound-ports", "dport", of.excludedOutboundPorts),
    ...destinations("excluded-destinations", of.excludedDestinations),
    ...numbers("excluded-uids", "uid", of.excludedUids),
    ...(of.onlyUids === "all" ? [] : numbers("only-uids", "uid", of.onlyUids)),
    ...(of.inboundPorts === "all" ? [] : numbers("inbound-ports", "dport", of.inboundPorts)),
    ...numbers("excluded-inbound-ports", "dport", [...of.excludedInboundPorts, of.statusPort]),
    ...numbers("clear-inbound-ports", "sport", of.excludedInboundPorts),
    ...numbers(inspectedSet(of), "dport", of.inspectedPorts.ports),
    ...probeSets(of.probes),
    connections(4),
    connections(6),
  ];
}

/** Rules that leave packets to the kernel; what passes them all is diverted. */
function leftAloneOutbound(of: Interception): readonly Rule[] {
  return [
    [{ kind: "fwmark", equals: ownMark(of.mark) }, leave],
    [{ kind: "fwmark", equals: insideMark(of.mark) }, leave],
    [{ kind: "loopback", way: "oifname", is: true }, leave],
    [{ kind: "tcp", is: false }, leave],
    [{ kind: "in-set", set: "mesh4", is: false }, leave],
    [{ kind: "in-set", set: "mesh6", is: false }, leave],
    [{ kind: "in-set", set: "excluded4", is: true }, leave],
    [{ kind: "in-set", set: "excluded6", is: true }, leave],
    ...whereAny(of.excludedOutboundPorts, "excluded-outbound-ports"),
    ...familiesOf(of.excludedDestinations).map((family): Rule => [
      { kind: "in-set", set: `excluded-destinations${family}`, is: true },
      leave,
    ]),
    ...uidRules(of),
  ];
}

/**
 * Everything to the mesh is diverted unless it was open before: what nobody knows is not passed in clear. A new
 * connection on an old one's addresses and ports is new.
 */
function outputRules(of: Interception, held: readonly Rule[] = []): readonly Rule[] {
  const { mark } = of;
  const capture: Step = { kind: "set-fwmark", value: mark.value };
  return [
    ...seenAsClientRules(mark),
    ...(usesConntrack(of) ? relearnRules(mark) : []),
    ...families.map((family): Rule => [...fromAlias(family), capture, leave]),
    ...leftAloneOutbound(of),
    ...held,
    [opening, { kind: "forget", set: openBefore[4], answers: false }],
    [opening, { kind: "forget", set: openBefore[6], answers: false }],
    ...(usesConntrack(of) ? connectionRules(mark) : []),
    [{ kind: "in-set", set: openBefore[4], is: true }, leave],
    [{ kind: "in-set", set: openBefore[6], is: true }, leave],
    ...clearReplyRules(of),
    [capture],
  ];
}

/**
 * The proxy goes to its application with the client's address and port (net/origin.ts), which a connection from before
 * the rules may have had: the answers to the new one are not to be taken for that one's.
 */
function seenAsClientRules(mark: Mark): readonly Rule[] {
  return families.map((family): Rule => [
    ...insideOnLo(mark),
    opening,
    { kind: "forget", set: openBefore[family], answers: true },
  ]);
}

/** Only applications answer from there, and only to the proxy: whoever the client is, and whatever else is left alone. */
function fromAlias(family: Family): readonly Step[] {
  return [{ kind: "alias", way: "saddr", family }];
}

function insideOnLo(mark: Mark): readonly Step[] {
  return [
    { kind: "fwmark", equals: insideMark(mark) },
    { kind: "loopback", way: "oifname", is: true },
  ];
}

/**
 * A marked packet that is not on its way to `lo` has lost it: a rule before ours, or ours deleted; or the pod has lost
 * the address that the proxy has reached its application at.
 */
function guardRules(mark: Mark): readonly Rule[] {
  const ofPod = [
    ...[mark.value, insideMark(mark)].map((equals): Rule => [{ kind: "fwmark", equals }]),
    ...families.map(fromAlias),
  ];
  const elsewhere: Rule = [
    { kind: "loopback", way: "oifname", is: false },
    { kind: "verdict", verdict: "drop" },
  ];
  return ofPod.map((which) => which.concat(elsewhere));
}

/**
 * `tproxy` ends the rule without a match when no transparent socket listens: the drop after it keeps such a
 * packet from the application. Inbound, packets of open connections find their own socket first.
 */
function preroutingRules(of: Interception): readonly Rule[] {
  const fromLo = divertedToLo(of);
  return [
    ...strangersToAlias,
    [...fromLo, ...divert(4, of.tcpPort)],
    [...fromLo, ...divert(6, of.tcpPort)],
    [...fromLo, { kind: "verdict", verdict: "drop" }],
    ...leftAloneInbound(of),
    ...readRules(of.probes, of.inspectPort),
    ...connectRules(of.probes),
    ...inspectedRules(of),
    [tcp, ...divert(4, of.tlsPort)],
    [tcp, ...divert(6, of.tlsPort)],
    dropOpening,
  ];
}

/** Ports that take plain text as well go to a listener of their own; without it they go where TLS is wanted. */
function inspectedRules(of: Interception): readonly Rule[] {
  const { kind, ports } = of.inspectedPorts;
  if (kind === "only" && ports.length === 0) return [];
  const set = inspectedSet(of);
  const which: Rule = ports.length === 0 ? [] : [{ kind: "in-set", set, is: kind === "only" }];
  const { inspectPort } = of;
  return [
    [tcp, ...which, ...divert(4, inspectPort)],
    [tcp, ...which, ...divert(6, inspectPort)],
  ];
}

function inspectedSet({ inspectedPorts }: Interception): string {
  return inspectedPorts.kind === "only" ? "inspected-ports" : "strict-ports";
}

function closedRules(of: Interception): readonly Rule[] {
  const reset: Step = { kind: "reset" };
  const toLo: Rule = [...divertedToLo(of), reset];
  const left = [...leftAloneInbound(of), ...connectRules(of.probes)];
  return [...strangersToAlias, toLo, ...left, [opening, reset]];
}

/** The RST that the kernel answers with carries no data and no mark: it would be led to `lo`. */
function letResetsOut(rules: readonly Rule[]): readonly Rule[] {
  return [[{ kind: "resetting" }, leave], ...rules];
}

function divertedToLo(of: Interception): readonly Step[] {
  return [
    { kind: "loopback", way: "iifname", is: true },
    { kind: "fwmark", equals: of.mark.value },
    tcp,
  ];
}

function divert(family: Family, port: number): readonly Step[] {
  return [
    { kind: "tproxy", family, port },
    { kind: "verdict", verdict: "accept" },
  ];
}

function leftAloneInbound(of: Interception): readonly Rule[] {
  return [
    [{ kind: "loopback", way: "iifname", is: true }, leave],
    [{ kind: "tcp", is: false }, leave],
    [{ kind: "not-local-destination" }, leave],
    [{ kind: "in-set", set: "excluded-inbound-ports", is: true }, leave],
    ...inboundScope(of.inboundPorts),
    ...openProbeRules(of.probes),
  ];
}

/** Without any port there is no set to ask. */
function inboundScope(ports: Interception["inboundPorts"]): readonly Rule[] {
  if (ports === "all") return [];
  if (ports.length === 0) return [[leave]];
  return [[{ kind: "in-set", set: "inbound-ports", is: false }, leave]];
}

/** Conntrack is asked only where the configuration leaves something in clear that it alone can tell apart. */
function usesConntrack(of: Interception): boolean {
  const byUid = of.excludedUids.length > 0 || of.onlyUids !== "all";
  const probed = probeReplyRules(of.probes, of.mark).length > 0;
  return byUid || probed || of.excludedInboundPorts.length > 0 || of.inboundPorts !== "all";
}

/**
 * What the proxy says to the application passes `lo` with a mark of ours: it teaches conntrack, and again after an entry
 * has expired or was flushed, that this connection is diverted.
 */
function relearnRules(mark: Mark): readonly Rule[] {
  return [ownMark(mark), insideMark(mark)].map((equals): Rule => [
    { kind: "fwmark", equals },
    { kind: "loopback", way: "oifname", is: true },
    { kind: "set-connection-mark", value: mark.value },
  ]);
}

/** A new connection is diverted from now on; one of an excluded user's is not. */
function connectionRules(mark: Mark): readonly Rule[] {
  return [
    [opening, { kind: "set-connection-mark", value: mark.value }],
    [{ kind: "connection-mark", equals: ownMark(mark), is: true }, leave],
  ];
}

/** Answers on connections from outside that are in clear by configuration. */
function clearReplyRules(of: Interception): readonly Rule[] {
  const notCaptured: Step = { kind: "connection-mark", equals: of.mark.value, is: false };
  const ports: Rule = [
    { kind: "in-set", set: "clear-inbound-ports", is: true },
    notCaptured,
    leave,
  ];
  return [
    ...(of.excludedInboundPorts.length > 0 ? [ports] : []),
    ...(of.inboundPorts === "all" ? [] : [[{ kind: "reply" } as const, notCaptured, leave]]),
    ...probeReplyRules(of.probes, of.mark),
  ];
}

/** Connections of excluded users, remembered for the packets that the kernel sends for them on its own. */
function uidRules(of: Interception): readonly Rule[] {
  const remember: Step = { kind: "set-connection-mark", value: ownMark(of.mark) };
  const excluded: Rule = [{ kind: "in-set", set: "excluded-uids", is: true }, remember, leave];
  const others: Rule = [{ kind: "in-set", set: "only-uids", is: false }, remember, leave];
  return [
    ...(of.excludedUids.length > 0 ? [excluded] : []),
    ...(of.onlyUids === "all" ? [] : [others]),
  ];
}

function whereAny(values: readonly unknown[], set: string): readonly Rule[] {
  return values.length === 0 ? [] : [[{ kind: "in-set", set, is: true }, leave]];
}

function ranges(name: string, cidrs: readonly Cidr[]): readonly SetPlan[] {
  return families.map((family) => ({
    name: `${name}${family}`,
    family,
    fields: ["daddr"],
    elements: { kind: "intervals", intervals: intervalsOf(cidrs, family) },
  }));
}

function numbers(name: string, field: Field, values: readonly number[]): readonly SetPlan[] {
  const unique = [...new Set(values)].toSorted((a, b) => a - b);
  if (unique.length === 0) return [];
  return [{ name, family: 4, fields: [field], elements: { kind: "numbers", numbers: unique } }];
}

function destinations(name: string, addresses: readonly SocketAddress[]): readonly SetPlan[] {
  return familiesOf(addresses).map((family) => ({
    name: `${name}${family}`,
    family,
    fields: ["daddr", "dport"],
    elements: {
      kind: "destinations",
      destinations: addresses.filter((address) => address.family === family),
    },
  }));
}

function connections(family: Family): SetPlan {
  const fields = ["saddr", "sport", "daddr", "dport"] as const;
  return { name: openBefore[family], family, fields, elements: { kind: "connections" } };
}

function familiesOf(addresses: readonly SocketAddress[]): readonly Family[] {
  return families.filter((family) => addresses.some((address) => address.family === family));
}

const families = [4, 6] as const;
/** A machine on the same wire can send to any address of ours. */
const strangersToAlias = families.map((family): Rule => [
  { kind: "loopback", way: "iifname", is: false },
  { kind: "alias", way: "daddr", family },
  { kind: "verdict", verdict: "drop" },
]);
const leave: Step = { kind: "verdict", verdict: "return" };
const tcp: Step = { kind: "tcp", is: true };
const opening: Step = { kind: "opening" };
const dropOpening: Rule = [opening, { kind: "verdict", verdict: "drop" }];
