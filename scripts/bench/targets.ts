/** The targets for speed and cost as data, and a run's verdict on each. Pure. */
import { heldBytesMax } from "../../src/config.ts";
import { cases, type Case } from "./cases.ts";
import {
  addedLatency,
  cpu,
  slowdown,
  memory,
  memoryOfOne,
  p99,
  rest,
  type Quantity,
} from "./quantities.ts";
import type { Run } from "./results.ts";
import type { Named } from "./table.ts";

export type Compared = Named & { readonly peer: boolean };

export type Outcome = {
  /** The case, the quantity and its unit. */
  readonly what: string;
  /** The limit, in words. */
  readonly target: string;
  readonly measured: number;
  /** The limit as a number; null if the run has no reference. */
  readonly limit: number | null;
  readonly bestPeer: { readonly title: string; readonly value: number } | null;
  /** How many of the counted units failed, in all rounds. */
  readonly failed: number;
};

/** The verdicts on the targets that a run has measured; none without peers, which most targets refer to. */
export function outcomesOf(run: Run, systems: readonly Compared[]): readonly Outcome[] {
  const peers = systems.filter(
    ({ name, peer }) => peer && run.rows.some(({ system }) => system === name),
  );
  if (peers.length === 0) return [];
  return targets.map((target) => outcomeOf(target, run, peers)).filter((one) => one !== null);
}

type Limit =
  | { readonly kind: "peers"; readonly factor: number }
  | { readonly kind: "case"; readonly name: string }
  | { readonly kind: "value"; readonly value: number };

type Target = { readonly case: string; readonly quantity: Quantity; readonly limit: Limit };

const targets: readonly Target[] = [
  toPeers("bulk-1-up", cpu, 0.75),
  toPeers("bulk-1-down", cpu, 0.75),
  toCase("bulk-8-up", cpu, "bulk-1-up"),
  toCase("bulk-8-down", cpu, "bulk-1-down"),
  toPeers("keep-alive-32", cpu, 0.9),
  toPeers("keep-alive-32", p99, 1),
  toPeers("new-32", cpu, 0.6),
  toPeers("new-32", p99, 1),
  toPeers("latency", addedLatency, 1),
  toValue("idle-1000", memory, 20),
  toValue("idle-5000", memory, 20),
  toValue("keep-alive-32", slowdown, 1.02),
  toValue("bulk-1-up", slowdown, 1.02),
  toValue("bulk-1-down", slowdown, 1.02),
  toValue("idle-1000", rest, 20),
  toValue("stalled-64", memoryOfOne, heldBytesMax / 1024), // Both stall, each within its own share.
];

function toPeers(name: string, quantity: Quantity, factor: number): Target {
  return { case: name, quantity, limit: { kind: "peers", factor } };
}

function toCase(name: string, quantity: Quantity, other: string): Target {
  return { case: name, quantity, limit: { kind: "case", name: other } };
}

function toValue(name: string, quantity: Quantity, value: number): Target {
  return { case: name, quantity, limit: { kind: "value", value } };
}

/** Null if the run has not measured it. */
function outcomeOf(target: Target, run: Run, peers: readonly Compared[]): Outcome | null {
  const { quantity, limit } = target;
  const one = caseOf(target.case);
  const system = systemOf(quantity);
  const measured = quantity.of(run, one, system);
  if (measured === null) return null;
  const bestPeer = quantity === slowdown ? null : bestOf(target, run, peers);
  return {
    what: `${one.title}: ${quantity.name(one)}`,
    target: limitText(limit),
    measured,
    limit: limitOf(limit, bestPeer, (other) => quantity.of(run, other, system)),
    bestPeer,
    failed: failuresOf(run, one, system),
  };
}

/** The system that a quantity is measured on: only the slowdown concerns excluded destinations. */
function systemOf(quantity: Quantity): string {
  return quantity === slowdown ? "excluded" : "mtls";
}

/** A peer that has failed is no reference: work that it omitted costs nothing. */
function bestOf(target: Target, run: Run, peers: readonly Compared[]): Outcome["bestPeer"] {
  const values = peers.flatMap(({ name, title }) => {
    const one = caseOf(target.case);
    const value = target.quantity.of(run, one, name);
    return value === null || failuresOf(run, one, name) > 0 ? [] : [{ title, value }];
  });
  return values.toSorted((first, second) => first.value - second.value)[0] ?? null;
}

function failuresOf({ rows }: Run, one: Case, system: string): number {
  return rows
    .filter((row) => row.case === one.name && row.system === system)
    .flatMap(({ samples }) => samples)
    .reduce((sum, { failed }) => sum + failed, 0);
}

function limitOf(
  limit: Limit,
  bestPeer: Outcome["bestPeer"],
  own: (one: Case) => number | null,
): number | null {
  switch (limit.kind) {
    case "peers":
      return bestPeer === null ? null : bestPeer.value * limit.factor;
    case "case":
      return own(caseOf(limit.name));
    case "value":
      return limit.value;
  }
}

function limitText(limit: Limit): string {
  switch (limit.kind) {
    case "peers":
      return limit.factor === 1 ? "best peer" : `${limit.factor} × best peer`;
    case "case":
      return caseOf(limit.name).title;
    case "value":
      return String(limit.value);
  }
}

function caseOf(name: string): Case {
  const found = cases.find((one) => one.name === name);
  if (found === undefined) throw new Error(`a target names a case that is not there: ${name}`);
  return found;
}
