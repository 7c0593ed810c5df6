/** When rules use conntrack, and what they store there about a connection. Pure. */
import { type Mark, insideMark, ownMark } from "./marks.ts";
import { type Interception, isByOwner } from "./interception.ts";
import { elsewhereRules } from "./left-alone.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { probeReplyRules } from "./probes.ts";
import { drop, leave, leaves, notOpening, opening, type LeavingRules } from "./steps.ts";

/** Conntrack is used only if the configuration leaves something in cleartext that no other criterion identifies. */
export function usesConntrack(of: Interception): boolean {
  const probed = probeReplyRules(of.probes, of.mark).length > 0;
  const byPort = of.excludedInboundPorts.length > 0 || of.inboundPorts !== "all";
  return isByOwner(of) || probed || byPort;
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

/** A new connection is diverted from now on, except an excluded user's. */
export function connectionRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  const { mark } = of;
  const ofUsers = isByOwner(of) ? leftAloneRules(of) : [];
  return [[opening, { kind: "set-connection-mark", value: mark.value }], ...ofUsers];
}

/** Exempt connections, whatever the kernel knows of the packet's sender, and however NAT has changed it. */
export function leftAloneRules(of: Interception): readonly Rule[] {
  if (!usesConntrack(of)) return [];
  return [[{ kind: "connection-mark", equals: ownMark(of.mark), is: true }, leave]];
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
