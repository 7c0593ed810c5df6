/** Memory that an idle proxy does not need goes back to the kernel, after each time of work. */
import type { ConnectionRegistry } from "../connection/registry.ts";
import { Deadline, Ticker } from "../runtime/deadline.ts";
import { releaseFilePages } from "../native/memory.ts";

/** Looks soon after the start, and every few seconds whether anything has happened since. Returns what ends that. */
export function trimWhenIdle(registry: ConnectionRegistry): () => void {
  let before = registry.work;
  let trims = 0;
  const look = (): void => {
    const { work } = registry;
    const quiet = work === before;
    trims = quiet ? trims + 1 : 0;
    if (quiet && trims <= trimsMax) trim();
    before = work;
  };
  const first = new Deadline(firstMs, look);
  const ticker = new Ticker(everyMs, look);
  return () => {
    first.clear();
    ticker.stop();
  };
}

/** Twice, because what the first collection frees the second one gives back. */
function trim(): void {
  Bun.gc(true);
  Bun.gc(true);
  releaseFilePages();
}

/** What it takes to come to rest is in memory after the first one. */
const trimsMax = 2;
/** What was needed to start is half of all memory. */
const firstMs = 1000;
const everyMs = 10_000;
