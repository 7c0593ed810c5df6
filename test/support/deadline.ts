/** How long tests wait for anything: the only place, and it stretches with the machine's load. */
import { availableParallelism, loadavg } from "node:os";

/** `milliseconds` on an idle machine, up to `stretchMax` times as much on a loaded one. Asked anew for each wait. */
export function deadlineMs(milliseconds: number): number {
  return Math.round(milliseconds * stretchOf(loadavg()[0] ?? 0, availableParallelism()));
}

/** Pure: 1 while there are processors to spare, then in proportion to what each has to do. */
export function stretchOf(load: number, processors: number): number {
  return Math.min(stretchMax, Math.max(1, (2 * load) / processors));
}

/** When a test counts as hung. It bounds failures only: a test that passes never waits for it. */
export const hungMs = 180_000;

const stretchMax = 10;
