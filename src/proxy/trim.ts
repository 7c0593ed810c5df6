/** Returns memory that an idle proxy does not need to the kernel, after each period of work. */
import type { ConnectionRegistry } from "../connection/registry.ts";
import { Deadline, Ticker } from "../runtime/deadline.ts";
import { releaseFilePages } from "../native/memory.ts";

/**
 * Checks soon after the start, and then every few seconds, whether there was activity. Returns a function that ends
 * this.
 */
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

/** Twice, because the second collection releases what the first one has freed. */
function trim(): void {
  Bun.gc(true);
  Bun.gc(true);
  releaseFilePages();
}

/** The transition to rest itself takes memory, which the first trim leaves. */
const trimsMax = 2;
/** What was needed to start is half of all memory. */
const firstMs = 1000;
const everyMs = 10_000;
