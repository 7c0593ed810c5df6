/** When rules ask conntrack, and what they write there of a connection. Pure. */
import { type Mark, insideMark, ownMark } from "./marks.ts";
import { type Interception, isByOwner } from "./interception.ts";
import { elsewhereRules } from "./left-alone.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { probeReplyRules } from "./probes.ts";
import { drop, leave, leaves, notOpening, opening, type LeavingRules } from "./steps.ts";

/** Conntrack is asked only where the configuration leaves something in clear that it alone can tell apart. */
export function usesConntrack(of: Interception): boolean {
  const probed = probeReplyRules(of.probes, of.mark).length > 0;
  const byPort = of.excludedInboundPorts.length > 0 || of.inboundPorts !== "all";
  return isByOwner(of) || probed || byPort;
}

/**
 * What the proxy says to the application passes `lo` with a mark of ours: it teaches conntrack, and again after an entry
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

/** A new connection is diverted from now on; one of an excluded user's is not. */
export function connectionRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const { mark } = of;
  const ofUsers = isByOwner(of) ? leftAloneRules(of) : [];
  return [[opening, { kind: "set-connection-mark", value: mark.value }], ...ofUsers];
}

/** Connections that were left alone, whatever the kernel knows of the packet's sender, and whatever NAT has made of it. */
export function leftAloneRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  return [[{ kind: "connection-mark", equals: ownMark(of.mark), is: true }, leave]];
}

/**
 * What is left alone: conntrack keeps it, so that it is still known when NAT has given the connection another destination. In a
 * rule of its own, which ends for packets that conntrack does not know. Not beside users, whose connections the output
 * chain knows by the same mark.
 */
export function leavesNamed(of: Interception): LeavingRules {
  if (!usesConntrack(of) || isByOwner(of)) return leaves;
  return (which) => [[opening, ...which, remembered(of.mark)], ...leaves(which)];
}

/**
 * A connection to elsewhere that NAT leads into the mesh cannot begin under the rules; one that goes on was open before, and
 * the sets do not know it by the address that it has now.
 */
export function translatedBeforeRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const notDiverted: Step = { kind: "connection-mark", equals: of.mark.value, is: false };
  return [[notOpening, { kind: "translated" }, notDiverted, leave]];
}

/** Leads there what arrives from outside on a connection that is diverted: its other end is the proxy, on `lo`. */
export function intoDivertedRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const diverted: Step = { kind: "connection-mark", equals: of.mark.value, is: true };
  return [[diverted, { kind: "goto", chain: "diverted" }]];
}

/** Only the proxy's own connection, which others have led on to a container, is answered from outside. */
export function divertedChain(of: Interception): readonly ChainPlan[] {
  if (!usesConntrack(of)) return [];
  const rules: readonly Rule[] = [...elsewhereRules(of, { left: leaves, answers: true }), [drop]];
  return [{ name: "diverted", base: null, rules }];
}

/**
 * Packets of excluded users and groups, and connections of theirs. A user or a group that is one of the only ones is
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

/** For the packets that the kernel sends for these users on its own. */
function remembered(mark: Mark): Step {
  return { kind: "set-connection-mark", value: ownMark(mark) };
}
