/** Ends connections that have carried nothing for too long, by checking all of them at intervals. */
import type { ConnectionRegistry } from "./registry.ts";
import type { ConnectionRecord } from "./record.ts";
import { Ticker } from "../runtime/deadline.ts";

type Seen = { readonly bytes: number; readonly since: number };

/** Returns a function that stops this. A connection lives at most a quarter longer than `idleMsMax`. */
export function watchIdle(registry: ConnectionRegistry, idleMsMax: number): () => void {
  let before = new Map<ConnectionRecord, Seen>();
  const ticker = new Ticker(Math.max(1, idleMsMax / 4), () => {
    const now = performance.now();
    const seen = new Map<ConnectionRecord, Seen>();
    for (const record of registry.live) {
      const { bytes } = record;
      const last = before.get(record);
      const since = last?.bytes === bytes ? last.since : now;
      if (now - since >= idleMsMax) record.downstream.terminate("IDLE_TIMEOUT");
      else seen.set(record, { bytes, since });
    }
    before = seen;
  });
  return () => {
    ticker.stop();
  };
}
