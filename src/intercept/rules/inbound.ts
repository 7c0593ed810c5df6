/** Rules for what arrives: from outside, and from the applications here by `lo`. Pure. */
import type { Interception } from "./interception.ts";
import { intoDivertedRules, leavesNamed, leftAloneRules } from "./conntrack.ts";
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
 * Before NAT: what was diverted to `lo`, and what begins at an address of ours, though NAT would lead it elsewhere. All else
 * is for `translatedRules`, because only NAT knows whether an answer is for a connection of ours or one that we have
 * masqueraded.
 */
export function preroutingRules(of: Interception): readonly Rule[] {
  const fromLo = divertedToLo(of);
  return [
    goesOn,
    ...divert(fromLo, of.tcpPort),
    [...fromLo, drop],
    ...leftAloneInbound(of, leavesNamed(of)),
    ...takenRules(of),
    dropOpening,
  ];
}

/**
 * After NAT: what is for us by now, whatever it was for before. `tproxy` ends the rule without a match when no transparent
 * socket listens: what follows keeps such a packet from the application. Packets of open connections find their own
 * socket first.
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

/** What is not judged; what is left over is intercepted. */
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
    ...leftAloneInbound(of, leavesNamed(of)),
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

/** What comes from outside for an address of ours, but for what is left alone. */
function fromOutside(of: Interception): readonly Rule[] {
  return [
    [{ kind: "loopback", way: "iif", is: true }, leave],
    [{ kind: "tcp", is: false }, leave],
    ...strangersToAlias,
    ...intoDivertedRules(of),
    toForwarded,
    ...scopeRules(of, leaves),
  ];
}

function scopeRules(of: Interception, left: LeavingRules): readonly Rule[] {
  return [
    ...left([{ kind: "in-set", set: "excluded-inbound-ports", is: true }]),
    ...inboundScope(of.inboundPorts, left),
    ...openProbeRules(of.probes),
  ];
}

/** What the proxy takes, as long as it lives. */
function takenRules(of: Interception): readonly Rule[] {
  return [
    ...readRules(of.probes, of.inspectPort),
    ...connectRules(of.probes),
    ...inspectedRules(of),
    ...divert([tcp], of.tlsPort),
  ];
}

/** Ports that take plain text as well go to a listener of their own; without it they go where TLS is wanted. */
function inspectedRules(of: Interception): readonly Rule[] {
  const { kind, ports } = of.inspectedPorts;
  if (kind === "only" && ports.length === 0) return [];
  const set = inspectedSet(of);
  const which: Rule = ports.length === 0 ? [] : [{ kind: "in-set", set, is: kind === "only" }];
  return divert([tcp, ...which], of.inspectPort);
}

/**
 * What is left finds a socket of an application's, or none. Connections that are left alone are answered: those from before
 * the rules, those to places outside of the mesh. No other packet is for an application: not one that an application's
 * listener might take for the end of a handshake (it carries a SYN cookie, which all listeners understand), and none from
 * the mesh, where every connection is diverted and its other end is the proxy.
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

/** Most packets are for sockets. */
function divert(which: Rule, port: number): readonly Rule[] {
  return [toProxy, onToProxy].flatMap((to) =>
    families.map((family) => [...which, ...to(family, port)]),
  );
}

/** Without any port there is no set to ask. */
function inboundScope(ports: Interception["inboundPorts"], left: LeavingRules): readonly Rule[] {
  if (ports === "all") return [];
  return left(ports.length === 0 ? [] : [{ kind: "in-set", set: "inbound-ports", is: false }]);
}

const reset: Step = { kind: "reset" };
/** Most packets: looked at once. */
const goesOn: Rule = [{ kind: "loopback", way: "iif", is: false }, notOpening, leave];
/**
 * What is left finds a socket that is not the proxy's, or none. Where an application sees a client by its own address, that
 * could be the application's side of it: whoever sends in the client's name would speak to the application in clear.
 */
const notInTheirName = families.map((family): Rule => [
  { kind: "in-set", set: seenClients[family], is: true },
  { kind: "in-set", set: openBefore[family], is: false, answers: true },
  drop,
]);
/** A machine on the same wire can send to any address of ours. */
const strangersToAlias = families.map((family): Rule => [
  { kind: "alias", way: "daddr", family },
  drop,
]);
