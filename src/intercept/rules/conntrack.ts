/** When rules use conntrack, and what they store there about a connection. Pure. */
import { type Mark, insideMark, ownMark } from "./marks.ts";
import { answersInClear, type Interception, isByOwner } from "./interception.ts";
import { elsewhereRules } from "./left-alone.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { dialled } from "./sets.ts";
import { drop, families, leave, leaves, notOpening, opening, type LeavingRules } from "./steps.ts";

/** Conntrack is used only if the configuration leaves something in cleartext that no other criterion identifies. */
export function usesConntrack(of: Interception): boolean {
  return isByOwner(of) || answersInClear(of);
}

/**
 * The proxy's packets to the application pass `lo` with a mark of ours: they record in conntrack, also after an entry
 * has expired or was flushed, that this connection is diverted.
 */
export function relearnRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const { mark } = of;
  return [ownMark(mark), insideMark(mark)].map((equals): Rule => [
    { kind: "fwmark", equals },
    { kind: "loopback", way: "oif", is: true },
    { kind: "set-connection-mark", value: mark.value },
  ]);
}

/** A new connection is diverted from now on. */
export function connectionRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  return [[opening, { kind: "set-connection-mark", value: of.mark.value }], ...unknownRules];
}

/**
 * Packets that the kernel itself sends on connections of excluded users. A packet of a socket is that socket's owner's,
 * whatever its connection's mark: others may have set that.
 */
export function kernelsRules(of: Interception, captured: Rule): readonly Rule[] {
  if (!isByOwner(of)) return [];
  const hasSocket: Step = { kind: "socket-mark", equals: ownMark(of.mark), is: false };
  return [[hasSocket, ...captured], ...begunHereRules(of)];
}

/**
 * Conntrack does not know the connection that begins: it is left out (`notrack`), or a stranger has sent packets with
 * its addresses and ports before, as if it went on. The rules remember it themselves.
 */
const unknownRules = families.map((family): Rule => [
  { kind: "untracked" },
  opening,
  { kind: "remember", set: dialled[family] },
]);

/** Exempt connections, whatever the kernel knows of the packet's sender, and however NAT has changed it. */
export function leftAloneRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  return [[{ kind: "connection-mark", equals: ownMark(of.mark), is: true }, leave]];
}

/**
 * The same, for outgoing packets of connections that have begun here. For answers the mark alone says too little: a
 * stranger's SYN gives it to a new entry, and may have the addresses and ports of a diverted connection whose entry has
 * expired (answers.ts).
 */
export function begunHereRules(of: Interception): readonly Rule[] {
  const begunHere: Rule = [{ kind: "reply", is: false }];
  return leftAloneRules(of).map((rule) => begunHere.concat(rule));
}

/**
 * Records an exemption in conntrack, so that it is still known when NAT has changed the connection's destination. In
 * a separate rule, because a rule ends for packets without a conntrack entry. Not combined with users, whose
 * connections the output chain recognises by the same mark.
 */
export function leavesNamed(of: Interception): LeavingRules {
  if (!usesConntrack(of) || isByOwner(of)) return leaves;
  return (which) => [[opening, ...which, remembered(of.mark)], ...leaves(which)];
}

/**
 * The same for connections from outside. Only the first packet of a new entry: a stranger's SYN must not change that of
 * a connection that is diverted.
 */
export function leavesFromOutside(of: Interception): LeavingRules {
  if (!usesConntrack(of)) return leaves;
  return (which) => [[opening, ...which, { kind: "new" }, remembered(of.mark)], ...leaves(which)];
}

/**
 * A connection that NAT redirects into the mesh cannot begin under the rules; one that continues is preexisting, but
 * the sets do not contain its present address.
 */
export function translatedBeforeRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const notDiverted: Step = { kind: "connection-mark", equals: of.mark.value, is: false };
  return [[notOpening, { kind: "translated" }, notDiverted, leave]];
}

/**
 * Leads arriving packets from outside on a diverted connection to that chain: its other end is the proxy, on `lo`.
 */
export function intoDivertedRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const diverted: Step = { kind: "connection-mark", equals: of.mark.value, is: true };
  return [[diverted, { kind: "goto", chain: "diverted" }]];
}

/** Only the proxy's own connection, forwarded by others to a container, is answered from outside. */
export function divertedChain(of: Interception): readonly ChainPlan[] {
  if (!usesConntrack(of)) return [];
  const rules: readonly Rule[] = [...elsewhereRules(of, { left: leaves, answers: true }), [drop]];
  return [{ name: "diverted", base: null, rules }];
}

/**
 * Packets of excluded users and groups, and of their connections. Matching one of the selected users or groups is
 * enough.
 */
export function ownerRules(of: Interception): readonly Rule[] {
  const remember = remembered(of.mark);
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

/** For the packets that the kernel sends on behalf of these users. */
function remembered(mark: Mark): Step {
  return { kind: "set-connection-mark", value: ownMark(mark) };
}
