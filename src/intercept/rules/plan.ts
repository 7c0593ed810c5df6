/** What the kernel is asked to do, as data: sets, chains of rules, and the way to `lo`. Pure. */
import type { Interception, Mark } from "../../config.ts";
import type { SocketAddress } from "../../net/address.ts";
import type { Interval } from "../../net/cidr.ts";
import type { Ports } from "../../net/ports.ts";
import { divertedChain } from "./conntrack.ts";
import { forwardedChain } from "./forwarded.ts";
import { guardRules, marksChain, steeredChain, unownedChain } from "./guard.ts";
import {
  closedRules,
  closedTranslatedRules,
  leftAloneInbound,
  preroutingRules,
  translatedRules,
} from "./inbound.ts";
import { leaveOurs, leftAloneOutbound, letResetsOut, outputRules } from "./outbound.ts";
import { probeChains } from "./probes.ts";
import { setsOf } from "./sets.ts";
import { dropOpening } from "./steps.ts";
import { translationChains } from "./translation.ts";

export type Family = 4 | 6;

/** Fields of a packet that are looked up in sets, and the set's key in the same order. */
export type Field = "saddr" | "sport" | "daddr" | "dport" | "uid" | "gid";

export type SetPlan = {
  readonly name: string;
  readonly family: Family;
  readonly fields: readonly Field[];
  readonly elements:
    | { readonly kind: "intervals"; readonly intervals: readonly Interval[] }
    | { readonly kind: "numbers"; readonly numbers: readonly number[] }
    /** Disjoint ranges. */
    | { readonly kind: "ports"; readonly ports: readonly Ports[] }
    | { readonly kind: "destinations"; readonly destinations: readonly SocketAddress[] }
    /** Connections from before the rules; packets take elements out. */
    | { readonly kind: "connections" }
    /** Clients that applications see as themselves; packets put elements in. */
    | { readonly kind: "clients" }
    /** Ports that packets put in, and that the sockets tell at the start. */
    | { readonly kind: "learned" };
};

/** One step of a rule: a match that ends the rule if it fails, or an act. */
export type Step =
  | { readonly kind: "fwmark"; readonly equals: number }
  | { readonly kind: "loopback"; readonly way: "iif" | "oif"; readonly is: boolean }
  | { readonly kind: "tcp"; readonly is: boolean }
  /** From or to the pod's own name for itself: net/alias.ts. */
  | { readonly kind: "alias"; readonly way: "saddr" | "daddr"; readonly family: Family }
  /** First packet of a connection: SYN without ACK. */
  | { readonly kind: "opening"; readonly is?: false }
  /** The answer to it: SYN with ACK. */
  | { readonly kind: "answering" }
  /** RST. */
  | { readonly kind: "resetting" }
  /** Headers of so many words, and nothing after them; the IP header has no options. */
  | { readonly kind: "no-data"; readonly family: Family; readonly words: number }
  /** A socket here takes the packet: one that listens, too. */
  | { readonly kind: "socket" }
  /**
   * The socket that `tproxy` has found is one: not TIME_WAIT, nor half a handshake. A packet that begins a connection there is
   * looked up anew when the listener has gone, and finds the application's (net/ipv4/tcp_ipv4.c, tcp_v4_rcv).
   */
  | { readonly kind: "whole-socket" }
  /**
   * The socket that sends the packet has this mark of ours (SO_MARK); `is: false`: has another. What the kernel sends for no socket that is
   * whole (half a handshake, TIME_WAIT) matches neither.
   */
  | { readonly kind: "socket-mark"; readonly equals: number; readonly is: boolean }
  | {
      readonly kind: "in-set";
      readonly set: string;
      readonly is: boolean;
      /** The key is that of the packets of the other direction. */
      readonly answers?: true;
    }
  /** The destination is in none of these, whatever becomes of sets. */
  | {
      readonly kind: "outside";
      readonly family: Family;
      readonly intervals: readonly Interval[];
    }
  | { readonly kind: "not-local-destination" }
  /** Not sent by a socket of this network namespace, unless from a foreign address. */
  | { readonly kind: "not-local-source" }
  /** The way to its destination is the interface that it has come in by. */
  | { readonly kind: "same-link" }
  /** The header names places to pass on the way, so that the destination may be another: RFC 8754, RFC 791. */
  | { readonly kind: "steered"; readonly family: Family }
  /** Conntrack has given the connection another destination. */
  | { readonly kind: "translated" }
  | { readonly kind: "reply" }
  /** Conntrack does not know the connection: it was told to leave it out (`notrack`), or can make nothing of the packet. */
  | { readonly kind: "untracked" }
  | { readonly kind: "connection-mark"; readonly equals: number; readonly is: boolean }
  /** `answers`: the key is that of the packets of the other direction. */
  | { readonly kind: "forget"; readonly set: string; readonly answers: boolean }
  | { readonly kind: "remember"; readonly set: string; readonly answers?: true }
  | { readonly kind: "set-fwmark"; readonly value: number }
  | { readonly kind: "set-connection-mark"; readonly value: number }
  | { readonly kind: "tproxy"; readonly family: Family; readonly port: number }
  | { readonly kind: "verdict"; readonly verdict: "accept" | "drop" | "return" }
  /** The rest is that chain's to decide. */
  | { readonly kind: "goto"; readonly chain: string }
  /** Nobody translates the destination of this connection any more: it is translated to what it is. */
  | { readonly kind: "keep-destination"; readonly family: Family }
  /** Answers with RST; after a match on TCP. */
  | { readonly kind: "reset" };

export type Rule = readonly Step[];

export type ChainPlan = {
  readonly name: string;
  /** Null for a chain that rules lead to. */
  readonly base: {
    readonly type: "filter" | "route" | "nat";
    readonly hook: Hook;
    readonly priority: number;
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

/** Where a field stands in the packets of the other direction. */
export const otherWay: Readonly<Record<Field, Field>> = {
  saddr: "daddr",
  sport: "dport",
  daddr: "saddr",
  dport: "sport",
  uid: "uid",
  gid: "gid",
};

/** Throws for a plan that names a set it does not have, which is a bug. */
export function setOf(plan: Plan, name: string): SetPlan {
  const set = plan.sets.find((one) => one.name === name);
  if (set === undefined) throw new Error(`the plan has no set ${name}`);
  return set;
}

/**
 * When chains look at packets among those of other tables: linux/netfilter_ipv4.h, enum nf_ip_hook_priorities. `mangle` is
 * after conntrack and before NAT gives packets another destination (-100); `postrouting` is behind all that may write
 * another mark or destination, and before NAT gives packets another source (100), which the sets know them by.
 */
export const priorities = { mangle: -150, translated: 300, postrouting: 99 } as const;

export function planOf(interception: Interception): Plan {
  return {
    ...frameOf(interception),
    chains: [
      ...probeChains(interception.probes),
      steeredChain(interception),
      unownedChain(interception),
      forwardedChain(interception),
      ...divertedChain(interception),
      base("output", "route", outputRules(interception)),
      marksChain(interception.mark),
      guard(guardRules(interception)),
      base("prerouting", "filter", preroutingRules(interception)),
      translated(translatedRules(interception)),
      ...translationChains(interception),
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
      base("output", "filter", [
        ...leaveOurs(interception.mark),
        ...leftAloneOutbound(interception),
        dropOpening,
      ]),
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
    const change = closing.get(chain.name);
    return change === undefined ? chain : { ...chain, rules: change(chain.rules, interception) };
  };
  return { ...plan, chains: plan.chains.map(closed) };
}

type Change = (rules: readonly Rule[], interception: Interception) => readonly Rule[];

/** What becomes of a chain's rules, by its name. */
const closing: ReadonlyMap<string, Change> = new Map<string, Change>([
  ["output", letResetsOut],
  ["postrouting", letResetsOut],
  ["prerouting", (_, interception) => closedRules(interception)],
  ["translated", (_, interception) => closedTranslatedRules(interception)],
]);

export type Hook = "output" | "postrouting" | "prerouting";

function base(
  hook: "output" | "prerouting",
  type: "filter" | "route",
  rules: readonly Rule[],
): ChainPlan {
  return { name: hook, base: { type, hook, priority: priorities.mangle }, rules };
}

function guard(rules: readonly Rule[]): ChainPlan {
  const { postrouting: priority } = priorities;
  return { name: "postrouting", base: { type: "filter", hook: "postrouting", priority }, rules };
}

/** Sees packets with the destination that NAT has given them. */
function translated(rules: readonly Rule[]): ChainPlan {
  const { translated: priority } = priorities;
  return { name: "translated", base: { type: "filter", hook: "prerouting", priority }, rules };
}

/** The ports of the proxy that a table's comment names, or null for another comment. */
export function portsOf(comment: string): { readonly tcp: number; readonly tls: number } | null {
  const match = /ports (\d{1,5}) and (\d{1,5})$/.exec(comment);
  return match === null ? null : { tcp: Number(match[1]), tls: Number(match[2]) };
}

function frameOf(interception: Interception): Omit<Plan, "chains"> {
  return {
    table: "tls-tproxy",
    comment: `diverts to the proxy on ports ${interception.tcpPort} and ${interception.tlsPort}`,
    mark: interception.mark,
    sets: setsOf(interception),
    routing: { table: 29_808, priority: 100 },
  };
}
