/** Ends connections when more is buffered for stopped readers than memory allows. */
import type { ConnectionRegistry } from "./registry.ts";
import type { ConnectionRecord } from "./record.ts";
import type { LimitRefusals } from "./limit-refusals.ts";
import type { Held } from "../relay/held.ts";

/**
 * Ends connections until a quarter of the room is free: those with the most buffered data of the peer with the most.
 * Peers whose connections buffer little keep them, and so do all whose readers read.
 */
export function relieve(registry: ConnectionRegistry, held: Held, refusals: LimitRefusals): void {
  const holders = holdersOf(registry.live);
  const wanted = (held.bytesMax / 4) * 3;
  while (held.bytes > wanted) {
    const holder = holders.reduce((most, one) => (one.bytes > most.bytes ? one : most), none);
    const record = holder.records.pop();
    if (record === undefined) return;
    holder.bytes -= record.countedBytes;
    record.downstream.terminate("HELD_MEMORY");
    refusals.refuseFault("HELD_MEMORY");
  }
  collect();
}

/** Released memory is not free until it is collected: JavaScriptCore waits for 32 MB of it, or more. */
export function collect(): void {
  Bun.gc(true);
}

type Holder = { bytes: number; readonly records: ConnectionRecord[] };

/**
 * Their connections, the one with the most buffered data last. A peer without an identity is known by its address.
 */
function holdersOf(live: Iterable<ConnectionRecord>): readonly Holder[] {
  const holders = new Map<string, Holder>();
  for (const record of live) {
    const { countedBytes } = record;
    if (countedBytes === 0) continue;
    const key = record.holder === "" ? `source ${record.source}` : record.holder;
    const holder = holders.get(key) ?? { bytes: 0, records: [] };
    holders.set(key, holder);
    holder.bytes += countedBytes;
    holder.records.push(record);
  }
  for (const { records } of holders.values())
    records.sort((one, other) => one.countedBytes - other.countedBytes);
  return [...holders.values()];
}

const none: Holder = { bytes: 0, records: [] };
