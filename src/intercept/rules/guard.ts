/**
 * The last look at what leaves, by what it is: TCP to the mesh that is not the proxy's leaves by `lo` or not at all, whatever
 * other tables have made of its mark, its destination or the way. Pure.
 */
import { type Mark, insideMark, ownMark } from "./marks.ts";
import type { Interception } from "./interception.ts";
import { leftAloneRules, ownerRules, translatedBeforeRules } from "./conntrack.ts";
import { elsewhereRules } from "./left-alone.ts";
import { clearReplyRules, fromAlias, openBeforeRules } from "./outbound.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { forwardedOnRules } from "./translation.ts";
import { drop, families, leave, leaves, notOpening, tcp } from "./steps.ts";

/**
 * What the output chain leaves alone is left alone here; the rest has lost its mark on the way. The proxy's own is known
 * by its mark alone, which no other socket's packet has brought here (`marksChain`): it is dropped as well where that was lost.
 */
export function guardRules(of: Interception): readonly Rule[] {
  const { mark } = of;
  return [
    [{ kind: "loopback", way: "oif", is: true }, leave],
    // Diverted, given the proxy's own mark on its way, and forwarded.
    [{ kind: "loopback", way: "iif", is: true }, { kind: "fwmark", equals: ownMark(mark) }, drop],
    [{ kind: "fwmark", equals: ownMark(mark) }, leave],
    // Rules before ours, or ours deleted; or the pod has lost the address that the proxy has reached its application at.
    [{ kind: "fwmark", equals: mark.value }, drop],
    ...forwardedOnRules(of),
    [{ kind: "fwmark", equals: insideMark(mark) }, drop],
    ...families.map((family): Rule => [...fromAlias(family), drop]),
    [{ kind: "tcp", is: false }, leave],
    ...leftInClearRules(of),
    // Forwarded packets were judged where they came in.
    [{ kind: "not-local-source" }, leave],
    [drop],
  ];
}

/** TCP that may leave without the proxy's mark. */
function leftInClearRules(of: Interception): readonly Rule[] {
  return [
    ...families.map((family): Rule => [{ kind: "steered", family }, toSteered]),
    ...elsewhereRules(of, { left: leaves, written: true }),
    ...ownerRules(of),
    ...leftAloneRules(of),
    ...translatedBeforeRules(of),
    ...openBeforeRules(),
    ...clearReplyRules(of),
    // It answers whatever becomes of marks, so that it can say so.
    [notOpening, { kind: "in-set", set: "status-ports", is: true }, leave],
  ];
}

/**
 * Behind all that may write marks in the same hook, the last that knows of sockets: the proxy's own mark on packets of
 * others' sockets. What brings no socket with it (the kernel's answers) carries no data.
 */
export function marksChain(mark: Mark): ChainPlan {
  const rule: Rule = [
    // The socket before the protocol: nearly every packet ends here.
    { kind: "fwmark", equals: ownMark(mark) },
    { kind: "socket-mark", equals: ownMark(mark), is: false },
    tcp,
    { kind: "goto", chain: "unowned" },
  ];
  return {
    name: "marks",
    base: { type: "filter", hook: "output", priority: afterAll },
    rules: [rule],
  };
}

/** The way that the hook knows is the one from before packets were diverted. */
export function unownedChain(of: Interception): ChainPlan {
  const stays: Rule = [{ kind: "loopback", way: "oif", is: true }, leave];
  return { name: "unowned", base: null, rules: [stays, ...leftInClearRules(of), [drop]] };
}

/** Where a packet ends is not in its destination: it cannot be judged, unless its sender is left alone whatever it does. */
export function steeredChain(of: Interception): ChainPlan {
  const owners = ownerRules(of);
  const left = owners.length > 0 ? [...owners, ...leftAloneRules(of)] : [];
  return { name: steered, base: null, rules: [...left, [drop]] };
}

const afterAll = 2_147_483_647;
const steered = "steered";
const toSteered: Step = { kind: "goto", chain: steered };
