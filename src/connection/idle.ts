/** Ends connections that have carried nothing for too long, by looking at all of them now and then. */
import type { ConnectionRegistry } from "./registry.ts";
import type { ConnectionRecord } from "./record.ts";
import { Ticker } from "../runtime/deadline.ts";

type Seen = { readonly bytes: number; readonly since: number };

/** Returns what ends the watch. A connection lives a quarter longer than `idleMsMax` at most. */
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
