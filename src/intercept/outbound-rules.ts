/** Rules for what leaves: what is diverted to `lo`, what is left alone, and what must not leave at all. Pure. */
import type { Interception, Mark } from "../config.ts";
import { isByOwner } from "../policy/interception.ts";
import { insideMark, ownMark } from "./marks.ts";
import type { Family, Rule, Step } from "./plan.ts";
import { probeReplyRules } from "./probes.ts";
import { answeringPorts, openBefore, seenClients } from "./sets.ts";
import { families, familiesOf, leave, opening } from "./steps.ts";

/**
 * Everything to the mesh is diverted unless it was open before: what nobody knows is not passed in clear. A new
 * connection on an old one's addresses and ports is new.
 */
export function outputRules(of: Interception, held: readonly Rule[] = []): readonly Rule[] {
  const { mark } = of;
  const capture: Step = { kind: "set-fwmark", value: mark.value };
  const [out, inside] = leaveOurs(mark);
  return [
    ...(usesConntrack(of) ? relearnRules(mark) : []),
    // First, because most packets are the proxy's.
    out,
    ...seenAsClientRules(mark),
    ...families.flatMap((family) => aliasRules(family, capture)),
    inside,
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

/** What the proxy itself sends, out of the pod and inside. */
export function leaveOurs(mark: Mark): readonly [out: Rule, inside: Rule] {
  return [
    [{ kind: "fwmark", equals: ownMark(mark) }, leave],
    [{ kind: "fwmark", equals: insideMark(mark) }, leave],
  ];
}

/** Rules that leave packets to the kernel; what passes them all is diverted. */
export function leftAloneOutbound(of: Interception): readonly Rule[] {
  return [
    [{ kind: "loopback", way: "oif", is: true }, leave],
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
    ...portScope(of),
    ...ownerRules(of),
  ];
}

/** Other ports are left alone; but for what an application answers to a client that it sees by its own address. */
function portScope({ outboundPorts }: Interception): readonly Rule[] {
  if (outboundPorts === "all") return [];
  return families.map((family): Rule => [
    ...(outboundPorts.length === 0
      ? []
      : [{ kind: "in-set", set: "outbound-ports", is: false } as const]),
    { kind: "in-set", set: seenClients[family], is: false, answers: true },
    leave,
  ]);
}

/**
 * A marked packet that is not on its way to `lo` has lost it: a rule before ours, or ours deleted; or the pod has lost
 * the address that the proxy has reached its application at.
 */
export function guardRules(mark: Mark): readonly Rule[] {
  const ofPod = [
    ...[mark.value, insideMark(mark)].map((equals): Rule => [{ kind: "fwmark", equals }]),
    ...families.map(fromAlias),
  ];
  const elsewhere: Rule = [
    { kind: "loopback", way: "oif", is: false },
    { kind: "verdict", verdict: "drop" },
  ];
  return ofPod.map((which) => which.concat(elsewhere));
}

/** The RST that the kernel answers with carries no data and no mark: it would be led to `lo`. */
export function letResetsOut(rules: readonly Rule[]): readonly Rule[] {
  return [[{ kind: "resetting" }, leave], ...rules];
}

/**
 * The proxy goes to its application with the client's address and port (net/origin.ts), which a connection from before
 * the rules may have had: the answers to the new one are not to be taken for that one's. And from outside nothing is to
 * reach it: inbound-rules.ts.
 */
function seenAsClientRules(mark: Mark): readonly Rule[] {
  const begins = [...insideOnLo(mark), opening];
  return families.flatMap((family): readonly Rule[] => [
    begins.concat({ kind: "forget", set: openBefore[family], answers: true }),
    begins.concat({ kind: "remember", set: seenClients[family] }),
  ]);
}

/** An application that connects to what it takes for its own address stays with itself. */
function aliasRules(family: Family, capture: Step): readonly Rule[] {
  const toItself: Step = { kind: "alias", way: "daddr", family };
  return [
    [...fromAlias(family), toItself, leave],
    [...fromAlias(family), capture, leave],
  ];
}

/** Only applications answer from there, and only to the proxy: whoever the client is, and whatever else is left alone. */
function fromAlias(family: Family): readonly Step[] {
  return [{ kind: "alias", way: "saddr", family }];
}

function insideOnLo(mark: Mark): readonly Step[] {
  return [
    { kind: "fwmark", equals: insideMark(mark) },
    { kind: "loopback", way: "oif", is: true },
  ];
}

/** Conntrack is asked only where the configuration leaves something in clear that it alone can tell apart. */
export function usesConntrack(of: Interception): boolean {
  const probed = probeReplyRules(of.probes, of.mark).length > 0;
  return isByOwner(of) || probed || of.excludedInboundPorts.length > 0 || of.inboundPorts !== "all";
}

/**
 * What the proxy says to the application passes `lo` with a mark of ours: it teaches conntrack, and again after an entry
 * has expired or was flushed, that this connection is diverted.
 */
function relearnRules(mark: Mark): readonly Rule[] {
  return [ownMark(mark), insideMark(mark)].map((equals): Rule => [
    { kind: "fwmark", equals },
    { kind: "loopback", way: "oif", is: true },
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
  const ports: Rule = [{ kind: "in-set", set: "clear-inbound-ports", is: true }];
  return [
    ...(of.excludedInboundPorts.length > 0
      ? [
          [...ports, notCaptured, leave],
          [...untrackedAnswer, ...ports, leave],
        ]
      : []),
    ...(of.inboundPorts === "all" ? [] : [[{ kind: "reply" } as const, notCaptured, leave]]),
    ...answeringRules(of, notCaptured),
    ...probeReplyRules(of.probes, of.mark),
  ];
}

/**
 * Hosts that serve much leave conntrack out of it (`notrack`), wholly or for one direction, and people flush it: an answer is then
 * known by its port, which has answered a client's SYN. What applications begin themselves comes from other ports.
 */
function answeringRules({ inboundPorts }: Interception, notCaptured: Step): readonly Rule[] {
  if (inboundPorts === "all") return [];
  const notOurs: Rule =
    inboundPorts.length === 0
      ? []
      : [{ kind: "in-set", set: "inbound-ports", is: false, answers: true }];
  const isKnown: Step = { kind: "in-set", set: answeringPorts, is: true };
  return [
    [{ kind: "answering" }, ...notOurs, { kind: "remember", set: answeringPorts }, leave],
    [...untrackedAnswer, ...notOurs, isKnown, leave],
    [inTheMiddle, ...notOurs, isKnown, notCaptured, leave],
  ];
}

const inTheMiddle: Step = { kind: "opening", is: false };
const untrackedAnswer: Rule = [{ kind: "untracked" }, inTheMiddle];

/**
 * Connections of excluded users and groups, remembered for the packets that the kernel sends for them on its own. A user
 * or a group that is one of the only ones is enough.
 */
function ownerRules(of: Interception): readonly Rule[] {
  const remember: Step = { kind: "set-connection-mark", value: ownMark(of.mark) };
  const excluded = [
    ...(of.excludedUids.length > 0 ? ["excluded-uids"] : []),
    ...(of.excludedGids.length > 0 ? ["excluded-gids"] : []),
  ];
  const only: readonly Step[] = [
    ...(of.onlyUids === "all" ? [] : [{ kind: "in-set", set: "only-uids", is: false } as const]),
    ...(of.onlyGids === "all" ? [] : [{ kind: "in-set", set: "only-gids", is: false } as const]),
  ];
  return [
    ...excluded.map((set): Rule => [{ kind: "in-set", set, is: true }, remember, leave]),
    ...(only.length === 0 ? [] : [[...only, remember, leave]]),
  ];
}

function whereAny(values: readonly unknown[], set: string): readonly Rule[] {
  return values.length === 0 ? [] : [[{ kind: "in-set", set, is: true }, leave]];
}
