/** The sets in which rules look up packets. Pure. */
import { answersInClear, type Interception } from "./interception.ts";
import { intervalsOf, type Cidr } from "../../net/cidr.ts";
import type { SocketAddress, Family } from "../../net/address.ts";
import { singlePort, unionOf, type Ports } from "../../net/ports.ts";
import { neverIntercepted } from "../../policy/policy.ts";
import type { Field, SetPlan } from "./rule.ts";
import { probeSets } from "./probes.ts";
import { families, familiesOf } from "./steps.ts";

/** Sets of preexisting connections. */
export const openBefore = { 4: "open-before4", 6: "open-before6" } as const;

/** Sets of clients that applications see by their own addresses, each with the port where it is seen. */
export const seenClients = { 4: "seen-clients4", 6: "seen-clients6" } as const;

/** Ports of ours that have answered a SYN where cleartext is allowed: answers.ts. */
export const answeringPorts = "answering-ports";

/** Ports with a listener here: the port has answered a SYN, or was listening when the rules were written. */
export const servedPorts = "served-ports";

/** Outbound connections from a port that is also served, and those that conntrack does not know. */
export const dialled = { 4: "dialled4", 6: "dialled6" } as const;

/**
 * No packet has this port. It is in the set of served ports as soon as the table is written: if it is missing, another
 * process has emptied the set, and nothing is known about any port.
 */
const never = 0;

/**
 * Sets that packets change.
 *
 * The table is written in four ways. "In place": one batch changes rules and other sets, and these sets stay.
 * "Rebuilt": one batch deletes the table and makes it again, with the elements that the kernel's sets had a moment
 * before. "Completed": what is missing is added. "From nothing": the table was gone.
 *
 *   write                                         kept, external      dropped (repair process)
 *   first start                                   from nothing        the same, then completed
 *   start over rules that have stayed             rebuilt             the same, then completed
 *   `rules --apply` again                         rebuilt             -
 *   policy or name servers change                 in place            in place
 *   rules held during such a change, SIGTERM      in place, rebuilt   completed
 *   rules, elements or chains are deleted         rebuilt             completed
 *   something is added to the table               rebuilt             rebuilt
 *   flushed ruleset, deleted table                from nothing        from nothing
 *   routing rule, route or alias is deleted       rebuilt             the table stays
 *   re-execution                                  -                   the table stays
 *
 *   set             in place, rebuilt, completed  from nothing
 *   open-before     as it was                     sockets at a first start; later those that are still there (kept),
 *                                                 or empty: such connections are reset
 *   seen-clients    as it was; rebuilt: sockets   sockets: those of the proxy that have a client's address
 *   answering-ports as it was, and listeners      listeners
 *   served-ports    as it was, and listeners      listeners, and the local ends of those sockets
 *   dialled         as it was                     empty: a connection from a served port is reset
 *
 * An element of open-before, dialled or answering-ports lets packets out in cleartext: such elements come from the
 * kernel's own sets and lists of sockets, and the repair process takes none from the proxy. One of seen-clients or
 * served-ports only makes packets be diverted or dropped, so adding one is safe.
 */
export const fleetingSets: readonly string[] = [
  ...Object.values(openBefore),
  ...Object.values(seenClients),
  answeringPorts,
  servedPorts,
  ...Object.values(dialled),
];

/** The minimum capacity of the sets of preexisting connections. */
export const openBeforeSizeMin = 65_536;

/** Further clients are not remembered. */
export const seenClientsMax = 262_144;

/** One for each port. */
export const portsMax = 65_536;

export function setsOf(of: Interception): readonly SetPlan[] {
  const excluded = [...of.excludedRanges, ...neverIntercepted];
  return [
    ...ranges("mesh", of.meshRanges),
    ...ranges("excluded", excluded),
    ...(of.outboundPorts === "all" ? [] : ports("outbound-ports", "dport", of.outboundPorts)),
    ...ports("excluded-outbound-ports", "dport", of.excludedOutboundPorts),
    ...destinations("excluded-destinations", of.excludedDestinations),
    ...numbers("excluded-uids", "uid", of.excludedUids),
    ...numbers("excluded-gids", "gid", of.excludedGids),
    ...(of.onlyUids === "all" ? [] : numbers("only-uids", "uid", of.onlyUids)),
    ...(of.onlyGids === "all" ? [] : numbers("only-gids", "gid", of.onlyGids)),
    ...(of.inboundPorts === "all" ? [] : ports("inbound-ports", "dport", of.inboundPorts)),
    ...ports("excluded-inbound-ports", "dport", [
      ...of.excludedInboundPorts,
      singlePort(of.statusPort),
    ]),
    ...numbers("status-ports", "sport", [of.statusPort]),
    ...ports("clear-inbound-ports", "sport", of.excludedInboundPorts),
    ...ports(inspectedSet(of), "dport", of.inspectedPorts.ports),
    ...probeSets(of.probes),
    ...families.map((family) => connections(openBefore[family], family)),
    ...families.map(clients),
    ...(answersInClear(of) ? [learned(answeringPorts, "sport", [])] : []),
    learned(servedPorts, "dport", [never]),
    ...families.map((family) => connections(dialled[family], family)),
  ];
}

/** Whether elements are ranges: the kernel stores their ends. */
export function isOfRanges({ elements }: SetPlan): boolean {
  return elements.kind === "intervals" || elements.kind === "ports";
}

export function inspectedSet({ inspectedPorts }: Interception): string {
  return inspectedPorts.kind === "only" ? "inspected-ports" : "strict-ports";
}

function ranges(name: string, cidrs: readonly Cidr[]): readonly SetPlan[] {
  return families.map((family) => ({
    name: `${name}${family}`,
    family,
    fields: ["daddr"],
    elements: { kind: "intervals", intervals: intervalsOf(cidrs, family) },
  }));
}

/** A set of single ports is a hash table with fast lookup; one with a range is a tree. */
function ports(name: string, field: Field, values: readonly Ports[]): readonly SetPlan[] {
  if (values.every(({ first, last }) => first === last))
    return numbers(
      name,
      field,
      values.map(({ first }) => first),
    );
  const elements = { kind: "ports", ports: unionOf(values) } as const;
  return [{ name, family: 4, fields: [field], elements }];
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

function clients(family: Family): SetPlan {
  const fields = ["saddr", "dport"] as const;
  return { name: seenClients[family], family, fields, elements: { kind: "clients" } };
}

function connections(name: string, family: Family): SetPlan {
  const fields = ["saddr", "sport", "daddr", "dport"] as const;
  return { name, family, fields, elements: { kind: "connections" } };
}

function learned(name: string, field: Field, always: readonly number[]): SetPlan {
  return { name, family: 4, fields: [field], elements: { kind: "learned", always } };
}
