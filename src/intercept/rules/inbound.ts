/** Rules for arriving packets: from outside, and from local applications by `lo`. Pure. */
import type { Interception } from "./interception.ts";
import { intoDivertedRules, leavesFromOutside, leftAloneRules } from "./conntrack.ts";
import { toForwarded } from "./forwarded.ts";
import { elsewhereRules } from "./left-alone.ts";
import { openBeforeRules } from "./outbound.ts";
import type { Rule, Step } from "./rule.ts";
import { connectRules, openProbeRules, readRules } from "./probes.ts";
import { dialled, inspectedSet, openBefore, seenClients, servedPorts } from "./sets.ts";
import {
  drop,
  dropOpening,
  families,
  leave,
  leaves,
  notOpening,
  onToProxy,
  opening,
  tcp,
  toProxy,
  type LeavingRules,
} from "./steps.ts";

/**
 * Before NAT: packets diverted to `lo`, and connections that begin at an address of ours, even if NAT would lead them
 * elsewhere. All other packets are left to `translatedRules`, because only NAT knows whether an answer belongs to a
 * connection of ours or to one that we have masqueraded.
 */
export function preroutingRules(of: Interception): readonly Rule[] {
  const fromLo = divertedToLo(of);
  return [
    goesOn,
    ...divert(fromLo, of.tcpPort),
    [...fromLo, drop],
    ...leftAloneInbound(of, leavesFromOutside(of)),
    ...takenRules(of),
    dropOpening,
  ];
}

/**
 * After NAT: packets that are for us by now, whatever their former destination. Without a listening transparent
 * socket, `tproxy` ends the rule without a match: the next rules keep such a packet from the application. Packets of
 * open connections find their own socket first.
 */
export function translatedRules(of: Interception): readonly Rule[] {
  return [
    ...fromOutside(of),
    ...takenRules(of),
    ...notInTheirName,
    dropOpening,
    ...notOursRules(of, drop),
  ];
}

/** Exempt packets; all others are intercepted. */
export function leftAloneInbound(of: Interception, left: LeavingRules = leaves): readonly Rule[] {
  return [
    [{ kind: "loopback", way: "iif", is: true }, leave],
    [{ kind: "tcp", is: false }, leave],
    [{ kind: "not-local-destination" }, leave],
    ...scopeRules(of, left),
  ];
}

export function closedRules(of: Interception): readonly Rule[] {
  const toLo: Rule = [...divertedToLo(of), reset];
  return [
    goesOn,
    toLo,
    ...leftAloneInbound(of, leavesFromOutside(of)),
    ...connectRules(of.probes),
    [opening, reset],
  ];
}

export function closedTranslatedRules(of: Interception): readonly Rule[] {
  return [
    ...fromOutside(of),
    ...connectRules(of.probes),
    [opening, reset],
    ...notOursRules(of, reset),
  ];
}

/** Packets from outside for one of our addresses, except exempt ones. */
function fromOutside(of: Interception): readonly Rule[] {
  return [
    [{ kind: "loopback", way: "iif", is: true }, leave],
    [{ kind: "tcp", is: false }, leave],
    ...strangersToAlias,
    ...intoDivertedRules(of),
    toForwarded,
    ...scopeRules(of, leavesFromOutside(of)),
  ];
}

function scopeRules(of: Interception, left: LeavingRules): readonly Rule[] {
  return [
    ...left([{ kind: "in-set", set: "excluded-inbound-ports", is: true }]),
    ...inboundScope(of.inboundPorts, left),
    ...openProbeRules(of.probes),
  ];
}

/** Packets that go to the proxy, as long as it lives. */
function takenRules(of: Interception): readonly Rule[] {
  return [
    ...readRules(of.probes, of.inspectPort),
    ...connectRules(of.probes),
    ...inspectedRules(of),
    ...divert([tcp], of.tlsPort),
  ];
}

/** Ports that also admit cleartext have a listener of their own; without it their packets go to the TLS listener. */
function inspectedRules(of: Interception): readonly Rule[] {
  const { kind, ports } = of.inspectedPorts;
  if (kind === "only" && ports.length === 0) return [];
  const set = inspectedSet(of);
  const which: Rule = ports.length === 0 ? [] : [{ kind: "in-set", set, is: kind === "only" }];
  return divert([tcp, ...which], of.inspectPort);
}

/**
 * Any remaining packet would find an application's socket, or none. Exempt connections are answered: preexisting
 * ones, and those to destinations outside the mesh. No other packet may reach an application: none that its listener
 * might accept as the end of a handshake (with a SYN cookie, which all listeners understand), and none from the mesh,
 * where every connection is diverted and its other end is the proxy.
 */
function notOursRules(of: Interception, refuse: Step): readonly Rule[] {
  return [
    ...openBeforeRules(true),
    ...families.map((family): Rule => [
      { kind: "in-set", set: servedPorts, is: true },
      { kind: "in-set", set: dialled[family], is: false, answers: true },
      refuse,
    ]),
    ...elsewhereRules(of, { left: leaves, answers: true }),
    ...leftAloneRules(of),
    [tcp, refuse],
  ];
}

function divertedToLo(of: Interception): readonly Step[] {
  return [
    { kind: "loopback", way: "iif", is: true },
    { kind: "fwmark", equals: of.mark.value },
    tcp,
  ];
}

/** Most packets have a socket. */
function divert(which: Rule, port: number): readonly Rule[] {
  return [toProxy, onToProxy].flatMap((to) =>
    families.map((family) => [...which, ...to(family, port)]),
  );
}

/** Without any port there is no set to look up. */
function inboundScope(ports: Interception["inboundPorts"], left: LeavingRules): readonly Rule[] {
  if (ports === "all") return [];
  return left(ports.length === 0 ? [] : [{ kind: "in-set", set: "inbound-ports", is: false }]);
}

const reset: Step = { kind: "reset" };
/** The quick exit for most packets. */
const goesOn: Rule = [{ kind: "loopback", way: "iif", is: false }, notOpening, leave];
/**
 * Any remaining packet would find a socket other than the proxy's, or none. If an application sees a client by its
 * own address, that socket could be the application's end: a sender that forges the client's address would reach the
 * application in cleartext.
 */
const notInTheirName = families.map((family): Rule => [
  { kind: "in-set", set: seenClients[family], is: true },
  { kind: "in-set", set: openBefore[family], is: false, answers: true },
  drop,
]);
/** A machine on the same network can send to any of our addresses. */
const strangersToAlias = families.map((family): Rule => [
  { kind: "alias", way: "daddr", family },
  drop,
]);
