/** How long tests wait: defined only here, and stretched with the machine's load. */
import { availableParallelism, loadavg } from "node:os";

/**
 * `milliseconds` on an idle machine, up to `stretchMax` times as much on a loaded one. Computed again for each wait.
 */
export function deadlineMs(milliseconds: number): number {
  return Math.round(milliseconds * stretchOf(loadavg()[0] ?? 0, availableParallelism()));
}

/** Pure: 1 while processors are idle, then in proportion to the load of each. */
export function stretchOf(load: number, processors: number): number {
  return Math.min(stretchMax, Math.max(1, (2 * load) / processors));
}

/** A test that runs longer counts as hung. Only failures reach this limit. */
export const hungMs = 180_000;

const stretchMax = 10;
