/**
 * The final check of outgoing packets, by what they are: TCP to the mesh that is not the proxy's leaves by `lo` or
 * not at all, whatever other tables have done to its mark, destination or route. Pure.
 */
import { clearAnswerRules } from "./answers.ts";
import { type Mark, insideMark, ownMark } from "./marks.ts";
import type { Interception } from "./interception.ts";
import { begunHereRules, ownerRules, translatedBeforeRules } from "./conntrack.ts";
import { elsewhereRules } from "./left-alone.ts";
import { fromAlias, openBeforeRules } from "./outbound.ts";
import type { ChainPlan, Rule, Step } from "./rule.ts";
import { forwardedOnRules } from "./translation.ts";
import { drop, families, leave, leaves, notOpening, tcp } from "./steps.ts";

/**
 * What the output chain exempts is exempt here too; all else has lost its mark on the way. The proxy's own packets
 * are identified only by their mark, which no other socket's packet can have here (`marksChain`): one that has lost
 * it is dropped too.
 */
export function guardRules(of: Interception): readonly Rule[] {
  const { mark } = of;
  return [
    [{ kind: "loopback", way: "oif", is: true }, leave],
    // Diverted, given the proxy's own mark on its way, and forwarded.
    [{ kind: "loopback", way: "iif", is: true }, { kind: "fwmark", equals: ownMark(mark) }, drop],
    [{ kind: "fwmark", equals: ownMark(mark) }, leave],
    // Rules precede ours, or ours were deleted; or the pod has lost the address at which the proxy has reached its
    // application.
    [{ kind: "fwmark", equals: mark.value }, drop],
    ...forwardedOnRules(of),
    [{ kind: "fwmark", equals: insideMark(mark) }, drop],
    ...families.map((family): Rule => [...fromAlias(family), drop]),
    [{ kind: "tcp", is: false }, leave],
    ...leftInClearRules(of),
    // Forwarded packets were judged when they came in.
    [{ kind: "not-local-source" }, leave],
    [drop],
  ];
}

/** TCP packets that may leave without the proxy's mark. */
function leftInClearRules(of: Interception): readonly Rule[] {
  return [
    ...families.map((family): Rule => [{ kind: "steered", family }, toSteered]),
    ...elsewhereRules(of, { left: leaves, written: true }),
    ...ownerRules(of),
    ...begunHereRules(of),
    ...translatedBeforeRules(of),
    ...openBeforeRules(),
    ...clearAnswerRules(of),
    // It answers whatever happens to marks, so that it can report that.
    [notOpening, { kind: "in-set", set: "status-ports", is: true }, leave],
  ];
}

/**
 * Behind all chains that may write marks at the same hook, and the last that knows of sockets: drops packets of
 * others' sockets with the proxy's own mark. Packets without a socket (the kernel's answers) carry no data.
 */
export function marksChain(mark: Mark): ChainPlan {
  const rule: Rule = [
    // The socket before the protocol: nearly every packet with this mark is the proxy's, and this step ends the rule.
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

/** The hook still has the route from before packets were diverted. */
export function unownedChain(of: Interception): ChainPlan {
  const stays: Rule = [{ kind: "loopback", way: "oif", is: true }, leave];
  return { name: "unowned", base: null, rules: [stays, ...leftInClearRules(of), [drop]] };
}

/**
 * The final destination of such a packet is not in its header's destination, so it cannot be judged, unless its
 * sender is exempt in any case.
 */
export function steeredChain(of: Interception): ChainPlan {
  const owners = ownerRules(of);
  const left = owners.length > 0 ? [...owners, ...begunHereRules(of)] : [];
  return { name: steered, base: null, rules: [...left, [drop]] };
}

const afterAll = 2_147_483_647;
const steered = "steered";
const toSteered: Step = { kind: "goto", chain: steered };
