/** Turns overlapping port rules into disjoint ones. Pure. */
import type { Ports } from "../net/ports.ts";
import type { PortRule } from "./policy.ts";

/**
 * Sorted by port. If several rules contain a port, each field is that of the first rule that has it: rules are in
 * order of precedence.
 */
export function layered(rules: readonly PortRule[]): readonly PortRule[] {
  const starts = rules.flatMap(({ ports: { first, last } }) => [first, last + 1]);
  const edges = [...new Set(starts)].toSorted((a, b) => a - b);
  const disjoint: PortRule[] = [];
  for (const [at, first] of edges.entries()) {
    const last = (edges[at + 1] ?? first) - 1;
    const holding = rules.filter(({ ports }) => ports.first <= first && last <= ports.last);
    if (first > last || holding.length === 0) continue;
    const rule = merged({ first, last }, holding);
    const before = disjoint.at(-1);
    if (before !== undefined && continues(before, rule))
      disjoint.splice(-1, 1, { ...rule, ports: { first: before.ports.first, last } });
    else disjoint.push(rule);
  }
  return disjoint;
}

function merged(ports: Ports, rules: readonly PortRule[]): PortRule {
  const find = <K extends "mode" | "allow" | "preserveSource" | "alpn">(
    field: K,
  ): PortRule[K] | null => rules.find((rule) => rule[field] !== null)?.[field] ?? null;
  return {
    ports,
    mode: find("mode"),
    allow: find("allow"),
    preserveSource: find("preserveSource"),
    alpn: find("alpn"),
  };
}

/** Whether two rules are parts of one former range; two ports written separately stay two rules. */
function continues(
  before: PortRule,
  { ports, mode, allow, preserveSource, alpn }: PortRule,
): boolean {
  return (
    before.ports.last + 1 === ports.first &&
    before.mode === mode &&
    before.allow === allow &&
    before.preserveSource === preserveSource &&
    before.alpn === alpn &&
    (mode ?? allow ?? preserveSource ?? alpn) !== null
  );
}
