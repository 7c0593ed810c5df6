/** A run's verdict on the targets as text. Pure. */
import { aligned, significant } from "./table.ts";
import type { Outcome } from "./targets.ts";

/** One line per target; empty if there is none. */
export function targetsText(outcomes: readonly Outcome[]): string {
  if (outcomes.length === 0) return "";
  const [head = [], ...lines] = rowsOf(outcomes);
  const told = [
    "Targets: the mTLS way, against the best of its peers",
    ...aligned([head, ...lines]),
  ];
  return `${told.join("\n")}\n`;
}

function rowsOf(outcomes: readonly Outcome[]): (readonly string[])[] {
  const head = ["", "to be at most", "which is", "measured", "best peer", "target"];
  return [head, ...outcomes.map(cellsOf)];
}

function cellsOf(outcome: Outcome): string[] {
  const { what, target, limit, measured, bestPeer } = outcome;
  const peer = bestPeer === null ? "–" : `${bestPeer.title} ${significant(bestPeer.value)}`;
  const wanted = limit === null ? "–" : significant(limit);
  return [what, target, wanted, significant(measured), peer, verdict(outcome)];
}

/** Without a reference there is no verdict. */
function verdict({ measured, limit, failed }: Outcome): string {
  if (limit === null) return "–";
  if (failed > 0) return `not met: ${failed} failed`;
  if (measured <= limit) return "met";
  return `missed by ${((measured / limit - 1) * 100).toFixed(0)} %`;
}
