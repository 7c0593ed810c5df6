/** The elements of a network namespace's rules, as data: sets, chains, rules and their steps. */
import type { Family, SocketAddress } from "../../net/address.ts";
import type { Interval } from "../../net/cidr.ts";
import type { Ports } from "../../net/ports.ts";
import type { Mark } from "./marks.ts";

/** Packet fields that are looked up in sets, in the order of the set's key. */
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
    /** Preexisting connections; packets remove elements. */
    | { readonly kind: "connections" }
    /** Clients that applications see by their own addresses; packets add elements. */
    | { readonly kind: "clients" }
    /** Ports that packets add, and that the sockets yield whenever the table is written; `always` are in it then. */
    | { readonly kind: "learned"; readonly always: readonly number[] };
};

/** One step of a rule: a match that ends the rule if it fails, or an action. */
export type Step =
  | { readonly kind: "fwmark"; readonly equals: number }
  | { readonly kind: "loopback"; readonly way: "iif" | "oif"; readonly is: boolean }
  | { readonly kind: "tcp"; readonly is: boolean }
  /** From or to the pod's alias address: net/alias.ts. */
  | { readonly kind: "alias"; readonly way: "saddr" | "daddr"; readonly family: Family }
  /** First packet of a connection: SYN without ACK. */
  | { readonly kind: "opening"; readonly is?: false }
  /** The answer to it: SYN with ACK. */
  | { readonly kind: "answering" }
  /** RST. */
  | { readonly kind: "resetting" }
  /** Headers of this many words, and nothing after them; the IP header has no options. */
  | { readonly kind: "no-data"; readonly family: Family; readonly words: number }
  /** A socket here accepts the packet, possibly a listener. */
  | { readonly kind: "socket" }
  /**
   * The socket that `tproxy` has found is a full one: not TIME_WAIT, nor half a handshake. If the listener is gone, a
   * packet that begins a connection is looked up again, and would find the application's (net/ipv4/tcp_ipv4.c,
   * tcp_v4_rcv).
   */
  | { readonly kind: "whole-socket" }
  /**
   * The sending socket has this mark of ours (SO_MARK); `is: false`: another mark. Packets that the kernel sends
   * without a full socket (half a handshake, TIME_WAIT) match neither.
   */
  | { readonly kind: "socket-mark"; readonly equals: number; readonly is: boolean }
  | {
      readonly kind: "in-set";
      readonly set: string;
      readonly is: boolean;
      /** The key is that of packets in the other direction. */
      readonly answers?: true;
    }
  /** The set of ports has port 0, so it is not one that others have emptied: sets.ts, `never`. */
  | { readonly kind: "not-emptied"; readonly set: string }
  /** The destination is in none of these, regardless of sets. */
  | {
      readonly kind: "outside";
      readonly family: Family;
      readonly intervals: readonly Interval[];
    }
  | { readonly kind: "not-local-destination" }
  /** Not sent by a socket of this network namespace, unless from a foreign address. */
  | { readonly kind: "not-local-source" }
  /** The route to its destination uses the interface that it has come in by. */
  | { readonly kind: "same-link" }
  /** The header names intermediate hops, so the final destination may differ: RFC 8754, RFC 791. */
  | { readonly kind: "steered"; readonly family: Family }
  | TrackedStep
  | { readonly kind: "connection-mark"; readonly equals: number; readonly is: boolean }
  /** `answers`: the key is that of packets in the other direction. */
  | { readonly kind: "forget"; readonly set: string; readonly answers: boolean }
  | { readonly kind: "remember"; readonly set: string; readonly answers?: true }
  | { readonly kind: "set-fwmark"; readonly value: number }
  | { readonly kind: "set-connection-mark"; readonly value: number }
  | { readonly kind: "tproxy"; readonly family: Family; readonly port: number }
  | { readonly kind: "verdict"; readonly verdict: "accept" | "drop" | "return" }
  /** That chain decides on the rest. */
  | { readonly kind: "goto"; readonly chain: string }
  /** Prevents a later translation of this connection's destination: translates it to itself. */
  | { readonly kind: "keep-destination"; readonly family: Family }
  /** Answers with RST; after a match on TCP. */
  | { readonly kind: "reset" };

/** What conntrack knows of the packet or its connection. */
export type TrackedStep =
  /** Conntrack has translated the connection's destination. */
  | { readonly kind: "translated" }
  /** The packet goes against the direction in which conntrack has seen its connection begin; `is: false`: along it. */
  | { readonly kind: "reply"; readonly is: boolean }
  /** Conntrack has seen the connection begin, be answered, and the answer confirmed. */
  | { readonly kind: "assured" }
  /** The first packet that conntrack sees of a connection. */
  | { readonly kind: "new" }
  /** Conntrack does not know the connection: it was excluded (`notrack`), or the packet is invalid. */
  | { readonly kind: "untracked" };

export type Rule = readonly Step[];

export type ChainPlan = {
  readonly name: string;
  /** Null for a chain that is reached by jumps. */
  readonly base: {
    readonly type: "filter" | "route" | "nat";
    readonly hook: Hook;
    readonly priority: number;
  } | null;
  readonly rules: readonly Rule[];
};

export type Plan = {
  readonly table: string;
  /** Shown by nft; names the proxy that the rules serve (`portsOf`). */
  readonly comment: string;
  readonly mark: Mark;
  readonly sets: readonly SetPlan[];
  readonly chains: readonly ChainPlan[];
  /** The routing table that leads marked packets to `lo`, and the priority of its rule. */
  readonly routing: { readonly table: number; readonly priority: number };
};

/** The corresponding field in packets of the other direction. */
export const otherWay: Readonly<Record<Field, Field>> = {
  saddr: "daddr",
  sport: "dport",
  daddr: "saddr",
  dport: "sport",
  uid: "uid",
  gid: "gid",
};

/** Throws for a plan that names an undefined set, which is a bug. */
export function setOf(plan: Plan, name: string): SetPlan {
  const set = plan.sets.find((one) => one.name === name);
  if (set === undefined) throw new Error(`the plan has no set ${name}`);
  return set;
}

export type Hook = "output" | "postrouting" | "prerouting";
