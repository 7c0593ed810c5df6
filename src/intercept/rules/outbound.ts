/** Rules for outgoing packets: what is diverted to `lo`, and what is exempt. Pure. */
import { ownAnswerRules } from "./answers.ts";
import { type Mark, insideMark, ownMark } from "./marks.ts";
import type { Interception } from "./interception.ts";
import {
  connectionRules,
  kernelsRules,
  leavesNamed,
  relearnRules,
  ownerRules,
} from "./conntrack.ts";
import { elsewhereRules } from "./left-alone.ts";
import type { Rule, Step } from "./rule.ts";
import type { Family } from "../../net/address.ts";
import { dialled, openBefore, seenClients, servedPorts } from "./sets.ts";
import { families, leave, leaves, notOpening, opening } from "./steps.ts";

/**
 * Everything to the mesh is diverted unless it was open before: unknown packets are not passed in cleartext. A new
 * connection with an old one's addresses and ports is new.
 */
export function outputRules(of: Interception, held: readonly Rule[] = []): readonly Rule[] {
  const { mark } = of;
  const capture: Step = { kind: "set-fwmark", value: mark.value };
  const isOwn: Step = { kind: "fwmark", equals: ownMark(mark) };
  return [
    ...relearnRules(of),
    // First, because most packets are the proxy's.
    ...leaveOut(mark),
    [...insideOnLo(mark), notOpening, leave],
    ...seenAsClientRules(mark),
    [{ kind: "answering" }, { kind: "remember", set: servedPorts, answers: true }],
    ...families.flatMap((family) => aliasRules(family, capture)),
    leaveInside(mark),
    ...staying,
    ...dialledRules,
    ...elsewhereRules(of, { left: leavesNamed(of) }),
    ...ownerRules(of),
    ...held,
    [opening, { kind: "forget", set: openBefore[4], answers: false }],
    [opening, { kind: "forget", set: openBefore[6], answers: false }],
    ...connectionRules(of),
    ...openBeforeRules(),
    ...ownAnswerRules(of),
    // Another table has given it the proxy's own mark.
    [isOwn, { kind: "socket-mark", equals: ownMark(mark), is: false }, capture, leave],
    // The kernel's packets for a socket of the proxy that is gone.
    [isOwn, leave],
    ...kernelsRules(of, [capture, leave]),
    [capture],
  ];
}

/** The proxy's own packets, out of the pod and inside. */
export function leaveOurs(mark: Mark): readonly Rule[] {
  return [...leaveOut(mark), leaveInside(mark)];
}

/**
 * Others can write marks on packets, but not on the proxy's sockets. The socket that answers a SYN is not a full one
 * yet.
 */
function leaveOut(mark: Mark): readonly Rule[] {
  const isOwn: Step = { kind: "fwmark", equals: ownMark(mark) };
  return [
    [isOwn, { kind: "socket-mark", equals: ownMark(mark), is: true }, leave],
    [isOwn, { kind: "answering" }, leave],
  ];
}

function leaveInside(mark: Mark): Rule {
  return [{ kind: "fwmark", equals: insideMark(mark) }, leave];
}

/** Rules that leave packets to the kernel; what matches none of them is diverted. */
export function leftAloneOutbound(of: Interception): readonly Rule[] {
  return [...staying, ...elsewhereRules(of, { left: leaves }), ...ownerRules(of)];
}

/** Packets of preexisting connections. `answers`: those that arrive. */
export function openBeforeRules(answers?: true): readonly Rule[] {
  const way = answers === true ? { answers } : {};
  return families.map((family) => [
    { kind: "in-set", set: openBefore[family], is: true, ...way },
    leave,
  ]);
}

/** The kernel's RST carries no data and no mark: otherwise it would be led to `lo`. */
export function letResetsOut(rules: readonly Rule[]): readonly Rule[] {
  return [[{ kind: "resetting" }, leave], ...rules];
}

/** Only applications answer from there, and only to the proxy: for any client, whatever else is exempt. */
export function fromAlias(family: Family): readonly Step[] {
  return [{ kind: "alias", way: "saddr", family }];
}

/**
 * The proxy connects to its application with the client's address and port (net/origin.ts), which a preexisting
 * connection may have had: answers to the new one must not count as that one's. No packet from outside may reach it:
 * intercept/rules/inbound.ts.
 */
function seenAsClientRules(mark: Mark): readonly Rule[] {
  const begins = [...insideOnLo(mark), opening];
  return families.map((family) =>
    begins.concat(
      { kind: "forget", set: openBefore[family], answers: true },
      { kind: "forget", set: dialled[family], answers: true },
      { kind: "remember", set: seenClients[family] },
    ),
  );
}

/** An application that connects to its apparent own address reaches itself. */
function aliasRules(family: Family, capture: Step): readonly Rule[] {
  const toItself: Step = { kind: "alias", way: "daddr", family };
  return [
    [...fromAlias(family), toItself, leave],
    [...fromAlias(family), capture, leave],
  ];
}

function insideOnLo(mark: Mark): readonly Step[] {
  return [
    { kind: "fwmark", equals: insideMark(mark) },
    { kind: "loopback", way: "oif", is: true },
  ];
}

/** Its answers find the socket that has dialled; any other packet to a served port finds a listener. */
const dialledRules = families.map((family): Rule => [
  opening,
  { kind: "in-set", set: servedPorts, is: true, answers: true },
  { kind: "remember", set: dialled[family] },
]);

/** Packets that stay in the pod, and those that are not TCP. */
const staying: readonly Rule[] = [
  [{ kind: "loopback", way: "oif", is: true }, leave],
  [{ kind: "tcp", is: false }, leave],
];
