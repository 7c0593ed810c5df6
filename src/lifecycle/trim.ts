/** Memory that an idle proxy does not need goes back to the kernel, once after each time of work. */
import type { Ledger } from "../accounting/ledger.ts";
import { Ticker } from "../deadline.ts";
import { releaseFilePages } from "../native/memory.ts";

/** Looks every few seconds whether anything has happened since. Returns what ends that. */
export function trimWhenIdle(ledger: Ledger): () => void {
  let before = -1;
  let trimmed = false;
  const ticker = new Ticker(everyMs, () => {
    const { work } = ledger;
    const quiet = work === before;
    if (quiet && !trimmed) trim();
    trimmed = quiet;
    before = work;
  });
  return () => {
    ticker.stop();
  };
}

/** Twice, because what the first collection frees the second one gives back. */
function trim(): void {
  Bun.gc(true);
  Bun.gc(true);
  releaseFilePages();
}

const everyMs = 10_000;
