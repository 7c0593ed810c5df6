/**
 * Tests by trial connections, after the rules are in place, whether diverted packets arrive. Ranges that other rules
 * drop are veiled.
 */
import type { Mark } from "../rules/marks.ts";
import { SystemCallError } from "../../native/errno.ts";
import type { Cidr } from "../../net/cidr.ts";
import * as nftables from "../../netlink/nftables.ts";
import { protocol, isErrno, kernel } from "../../netlink/socket.ts";
import { removeTrace, traceDrop, type Drop } from "./trace.ts";
import { tryConnections, type TrialOutcome } from "./trial.ts";
import { holds, type Target } from "./targets.ts";
import { isVeilable, veilBatch, veilTable } from "../kernel/veil.ts";

export type DiversionFailure = {
  readonly target: Target;
  readonly kind: TrialOutcome["kind"];
  /** The rule that dropped it; null if no nftables rule did, or the kernel denies the trace. */
  readonly drop: Drop | null;
};

export type Diversion = {
  readonly works: readonly Target[];
  /** These would fail, but work because their addresses are veiled on lo: veil.ts. */
  readonly veiled: readonly DiversionFailure[];
  readonly failed: readonly DiversionFailure[];
  /** These have no route, so they could not be tried. */
  readonly unrouted: readonly Target[];
};

/** Takes some ten milliseconds without failures, else about half a second. Throws SystemCallError. */
export function tryAndVeil(targets: readonly Target[], mark: Mark): Diversion {
  removeTrace();
  removeVeil();
  const outcomes = tryConnections(targets);
  const works = targetsOf(outcomes, "works");
  const unrouted = targetsOf(outcomes, "no-route");
  const failures = traced(outcomes.filter(({ kind }) => isFailure(kind)));
  if (failures.length === 0) return { works, veiled: [], failed: [], unrouted };
  const healed = veil(failures, outcomes, mark);
  return {
    works,
    unrouted,
    veiled: failures.filter(({ target }) => healed.has(target)),
    failed: failures.filter(({ target }) => !healed.has(target)),
  };
}

/**
 * Tries, and names the rules that drop, without lasting changes. `mark` as in `tryConnections`. Throws
 * SystemCallError.
 */
export function tryDiversion(targets: readonly Target[], mark: number): Diversion {
  const outcomes = tryConnections(targets, mark);
  return {
    works: targetsOf(outcomes, "works"),
    unrouted: targetsOf(outcomes, "no-route"),
    veiled: [],
    failed: traced(
      outcomes.filter(({ kind }) => isFailure(kind)),
      mark,
    ),
  };
}

function targetsOf(
  outcomes: readonly TrialOutcome[],
  wanted: TrialOutcome["kind"],
): readonly Target[] {
  return outcomes.filter(({ kind }) => kind === wanted).map(({ target }) => target);
}

/** False for one that no application can make either. */
function isFailure(kind: TrialOutcome["kind"]): boolean {
  return kind !== "works" && kind !== "no-route";
}

function traced(failures: readonly TrialOutcome[], mark = 0): readonly DiversionFailure[] {
  return failures.map(({ target, kind }, at) => ({
    target,
    kind,
    drop: at < tracedMax ? dropOf(target, mark) : null,
  }));
}

function dropOf(target: Target, mark: number): Drop | null {
  try {
    return traceDrop(target.address, () => tryConnections([target], mark));
  } catch (error) {
    if (isErrno(error, "EPERM", "EOPNOTSUPP")) return null;
    throw error;
  }
}

/** Those that work with their ranges veiled, which then stay veiled. */
function veil(
  failures: readonly DiversionFailure[],
  outcomes: readonly TrialOutcome[],
  mark: Mark,
): ReadonlySet<Target> {
  const wanted = rangesOf(outcomes);
  if (wanted.length === 0) return new Set();
  try {
    send(veilBatch(mark, wanted));
    const again = tryConnections(failures.map(({ target }) => target));
    const healed = again.filter(({ kind }) => kind === "works").map(({ target }) => target);
    const useful = wanted.filter((range) => healed.some((one) => holds(range, one.range)));
    if (useful.length === 0) removeVeil();
    else if (useful.length < wanted.length) send(veilBatch(mark, useful));
    return new Set(healed);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    removeVeil();
    return new Set();
  }
}

/** The widest lost ranges in which nothing else has worked; as many as can be veiled together. */
function rangesOf(outcomes: readonly TrialOutcome[]): readonly Cidr[] {
  const of = (...kinds: readonly TrialOutcome["kind"][]): readonly Cidr[] =>
    outcomes.filter(({ kind }) => kinds.includes(kind)).map(({ target }) => target.range);
  const unproven = of("lost", "refused", "no-route");
  const widest = of("lost").map((one) =>
    unproven.reduce((chosen, other) => (holds(other, chosen) ? other : chosen), one),
  );
  const chosen: Cidr[] = [];
  for (const one of new Set(widest)) if (isVeilable(one, chosen)) chosen.push(one);
  return chosen;
}

export function removeVeil(): void {
  try {
    send(nftables.batch([nftables.deleteTable(veilTable)]));
  } catch (error) {
    if (!isErrno(error, "ENOENT", "EPERM")) throw error;
  }
}

function send(requests: ReturnType<typeof veilBatch>): void {
  using socket = kernel(protocol.netfilter);
  socket.send(requests);
}

/** Each of them waits for an answer that does not come. */
const tracedMax = 4;
