/** Rules for what arrives: from outside, and from the applications here by `lo`. Pure. */
import type { Interception } from "../config.ts";
import type { Family, Rule, Step } from "./plan.ts";
import { connectRules, openProbeRules, readRules } from "./probes.ts";
import { inspectedSet, openBefore, seenClients } from "./sets.ts";
import { dropOpening, families, leave, opening, tcp } from "./steps.ts";

/**
 * `tproxy` ends the rule without a match when no transparent socket listens: the drop after it keeps such a
 * packet from the application. Inbound, packets of open connections find their own socket first.
 */
export function preroutingRules(of: Interception): readonly Rule[] {
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
    ...notInTheirName,
    dropOpening,
  ];
}

export function leftAloneInbound(of: Interception): readonly Rule[] {
  return [
    [{ kind: "loopback", way: "iif", is: true }, leave],
    [{ kind: "tcp", is: false }, leave],
    [{ kind: "not-local-destination" }, leave],
    [{ kind: "in-set", set: "excluded-inbound-ports", is: true }, leave],
    ...inboundScope(of.inboundPorts),
    ...openProbeRules(of.probes),
  ];
}

export function closedRules(of: Interception): readonly Rule[] {
  const reset: Step = { kind: "reset" };
  const toLo: Rule = [...divertedToLo(of), reset];
  const left = [...leftAloneInbound(of), ...connectRules(of.probes)];
  return [...strangersToAlias, toLo, ...left, [opening, reset]];
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

function divertedToLo(of: Interception): readonly Step[] {
  return [
    { kind: "loopback", way: "iif", is: true },
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

/** Without any port there is no set to ask. */
function inboundScope(ports: Interception["inboundPorts"]): readonly Rule[] {
  if (ports === "all") return [];
  if (ports.length === 0) return [[leave]];
  return [[{ kind: "in-set", set: "inbound-ports", is: false }, leave]];
}

/**
 * What is left finds a socket that is not the proxy's, or none. Where an application sees a client by its own address, that
 * could be the application's side of it: whoever sends in the client's name would speak to the application in clear.
 */
const notInTheirName = families.map((family): Rule => [
  { kind: "in-set", set: seenClients[family], is: true },
  { kind: "in-set", set: openBefore[family], is: false, answers: true },
  { kind: "verdict", verdict: "drop" },
]);
/** A machine on the same wire can send to any address of ours. */
const strangersToAlias = families.map((family): Rule => [
  { kind: "loopback", way: "iif", is: false },
  { kind: "alias", way: "daddr", family },
  { kind: "verdict", verdict: "drop" },
]);
