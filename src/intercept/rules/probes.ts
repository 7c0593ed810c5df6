/** Rules for the kubelet's probes: which of its connections the kernel exempts, and which the proxy reads. Pure. */
import { intervalsOf } from "../../net/cidr.ts";
import { probePorts, type Probes } from "../../probe/probe.ts";
import type { ChainPlan, Field, Rule, SetPlan, Step } from "./rule.ts";
import type { Family } from "../../net/address.ts";
import { accept, leave, onToProxy, opening, tcp, toProxy } from "./steps.ts";

export function probeSets(probes: Probes): readonly SetPlan[] {
  const { open, read, connect, both } = probePorts(probes);
  const families = familiesOf(probes);
  const back = answered(probes);
  return [
    ...families.map((family) => sources("probe-sources", family, "saddr", probes)),
    ...(back.length === 0 ? [] : families).map((family) =>
      sources("probe-answers", family, "daddr", probes),
    ),
    ...ports("probe-ports", "dport", open),
    ...ports("probe-read-ports", "dport", read),
    ...ports("probe-connect-ports", "dport", connect),
    ...ports("probe-both-ports", "dport", both),
    ...ports("probe-answer-ports", "sport", back),
  ];
}

/** Exempt: declared ports, for the node's addresses. */
export function openProbeRules(probes: Probes): readonly Rule[] {
  return rulesOf(probes, "probe-ports", probePorts(probes).open, () => [leave]);
}

/**
 * Requests go to the proxy. On a port with a TCP probe too, only if a socket accepts them: otherwise the kernel
 * answers as without a listener. The proxy's existing connections have such a socket.
 */
export function readRules(probes: Probes, port: number): readonly Rule[] {
  const { read, both } = probePorts(probes);
  const begun = (family: Family): readonly Step[] => toProxy(family, port);
  const goesOn = (family: Family): readonly Step[] => onToProxy(family, port);
  const opened = (family: Family): readonly Step[] => [
    opening,
    { kind: "socket" },
    ...begun(family),
  ];
  return [
    ...rulesOf(probes, "probe-read-ports", read, begun),
    ...rulesOf(probes, "probe-read-ports", read, goesOn),
    ...rulesOf(probes, "probe-both-ports", both, opened),
    ...rulesOf(probes, "probe-both-ports", both, () => [opening, toNoData]),
    ...rulesOf(probes, "probe-both-ports", both, goesOn),
  ];
}

/** Connections without data are exempt, so that the application itself accepts or refuses them. */
export function connectRules(probes: Probes): readonly Rule[] {
  return rulesOf(probes, "probe-connect-ports", probePorts(probes).connect, () => [toNoData]);
}

/**
 * Only packets with headers and nothing else pass here: an IP header without options, and a TCP header of five to
 * fifteen words. The kubelet's other packets are answered by RST. Fragments are reassembled by now, because conntrack
 * is used.
 */
export function probeChains(probes: Probes): readonly ChainPlan[] {
  if (probePorts(probes).connect.length === 0) return [];
  const rules = familiesOf(probes).flatMap((family) =>
    headerWords.map((words): Rule => [{ kind: "no-data", family, words }, accept]),
  );
  return [{ name: noData, base: null, rules: [...rules, [tcp, { kind: "reset" }]] }];
}

/** Answers to the node on exempt connections, by their addresses and ports: answers.ts. */
export function probeAnswers(
  probes: Probes,
): readonly { readonly which: Rule; readonly families: readonly Family[] }[] {
  if (answered(probes).length === 0) return [];
  return familiesOf(probes).map((family) => ({
    which: [
      { kind: "in-set", set: `probe-answers${family}`, is: true },
      { kind: "in-set", set: "probe-answer-ports", is: true },
    ],
    families: [family],
  }));
}

/** Ports whose packets the kernel delivers to the application, or answers itself. */
function answered(probes: Probes): readonly number[] {
  const { open, connect } = probePorts(probes);
  return [...open, ...connect];
}

function rulesOf(
  probes: Probes,
  set: string,
  of: readonly number[],
  act: (family: Family) => readonly Step[],
): readonly Rule[] {
  if (of.length === 0) return [];
  return familiesOf(probes).map((family) => {
    const where: readonly Step[] = [
      { kind: "in-set", set: `probe-sources${family}`, is: true },
      { kind: "in-set", set, is: true },
    ];
    return where.concat(act(family));
  });
}

function familiesOf({ declared, sources: from }: Probes): readonly Family[] {
  if (declared.length === 0) return [];
  return ([4, 6] as const).filter((family) => from.some((range) => range.family === family));
}

function sources(name: string, family: Family, field: Field, { sources: from }: Probes): SetPlan {
  const intervals = intervalsOf(from, family);
  return {
    name: `${name}${family}`,
    family,
    fields: [field],
    elements: { kind: "intervals", intervals },
  };
}

function ports(name: string, field: Field, values: readonly number[]): readonly SetPlan[] {
  if (values.length === 0) return [];
  return [{ name, family: 4, fields: [field], elements: { kind: "numbers", numbers: values } }];
}

const noData = "probe-no-data";
/** Length of the TCP header in words: RFC 9293, 3.1, data offset. */
const headerWords = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const toNoData: Step = { kind: "goto", chain: noData };
