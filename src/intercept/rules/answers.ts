/**
 * An application's answers on connections from outside that are in cleartext by configuration: by which evidence a
 * packet from such a port is known to be one. Without evidence it is diverted like any other, because it may belong to
 * a connection that the application has begun from the same port, and whose conntrack entry has expired. Pure.
 */
import type { Family } from "../../net/address.ts";
import type { Interception } from "./interception.ts";
import { ownMark } from "./marks.ts";
import { probeAnswers } from "./probes.ts";
import type { Rule, Step } from "./rule.ts";
import { answeringPorts, dialled } from "./sets.ts";
import { families, leave, notOpening } from "./steps.ts";

/** Which packets may be such answers, by their addresses and ports. */
type Answers = { readonly which: Rule; readonly families: readonly Family[] };

/** In the output chain; there an answer to a SYN is also remembered. */
export function ownAnswerRules(of: Interception): readonly Rule[] {
  const learn: Rule = [{ kind: "remember", set: answeringPorts }];
  return clearAnswers(of).flatMap((each) => begins(each, learn).concat(goesOn(of, each)));
}

/** Behind the output chain. Forwarded packets pass there too, and their ports are not ours: nothing is remembered. */
export function clearAnswerRules(of: Interception): readonly Rule[] {
  return clearAnswers(of).flatMap((each) => begins(each, []).concat(goesOn(of, each)));
}

function clearAnswers(of: Interception): readonly Answers[] {
  const { excludedInboundPorts, inboundPorts } = of;
  const excluded: Rule = [{ kind: "in-set", set: "clear-inbound-ports", is: true }];
  const others: Rule =
    inboundPorts.length === 0
      ? []
      : [{ kind: "in-set", set: "inbound-ports", is: false, answers: true }];
  return [
    ...(excludedInboundPorts.length > 0 ? [{ which: excluded, families }] : []),
    ...(inboundPorts === "all" ? [] : [{ which: others, families }]),
    ...probeAnswers(of.probes),
  ];
}

/**
 * A SYN with ACK: only a listener sends it, or an application whose own SYN a stranger has crossed with another
 * (RFC 9293, 3.5, simultaneous open).
 */
function begins({ which, families: of }: Answers, learn: Rule): readonly Rule[] {
  return of.map((family) => [{ kind: "answering" }, ...which, notDialled(family), ...learn, leave]);
}

/**
 * - Conntrack has seen the connection begin from outside (`leavesFromOutside`) and be answered: then it is assured. A
 *   SYN alone, which anybody may send, is not enough.
 * - The port has answered a SYN, and this connection was not begun from it (`dialled`): for packets that conntrack does
 *   not see (`notrack`), or whose entry has expired or was flushed.
 * - An RST carries nothing; without a listener it is the only answer.
 */
function goesOn({ mark }: Interception, { which, families: of }: Answers): readonly Rule[] {
  const notDiverted: Step = { kind: "connection-mark", equals: mark.value, is: false };
  const exempt: Step = { kind: "connection-mark", equals: ownMark(mark), is: true };
  const serves: Step = { kind: "in-set", set: answeringPorts, is: true };
  return [
    [...which, exempt, { kind: "assured" }, { kind: "reply", is: true }, leave],
    ...of.flatMap((family): readonly Rule[] => [
      [notOpening, ...which, serves, notDialled(family), notDiverted, leave],
      [{ kind: "untracked" }, notOpening, ...which, serves, notDialled(family), leave],
    ]),
    [{ kind: "resetting" }, ...which, notDiverted, leave],
    [{ kind: "untracked" }, { kind: "resetting" }, ...which, leave],
  ];
}

function notDialled(family: Family): Step {
  return { kind: "in-set", set: dialled[family], is: false };
}
