/** Ends connections when they or their certificates become too old, if possible earlier in a quiet moment. */
import type { ConnectionRegistry } from "./registry.ts";
import type { ConnectionRecord } from "./record.ts";
import type { Fault } from "../net/fault.ts";
import { Ticker } from "../runtime/deadline.ts";

export type AgeLimits = { readonly ageMsMax: number | null; readonly drainMsMax: number };

/** A connection's times, in milliseconds on one clock. */
export type Life = {
  readonly now: number;
  readonly openedAt: number;
  /** When its certificates expire. */
  readonly notAfter: number;
  /** Whether it has carried nothing since the last check. */
  readonly quiet: boolean;
};

export type AgeFault = Extract<Fault, "CERTIFICATE_AGE" | "MAX_AGE">;

/**
 * Why a connection must end now, or null. A busy one has its whole time; a quiet one ends in the last tenth of it, at
 * most `drainMsMax` early, because it is then cut between two messages.
 */
export function ageFault(life: Life, { ageMsMax, drainMsMax }: AgeLimits): AgeFault | null {
  const oldest = ageMsMax === null ? Infinity : life.openedAt + ageMsMax;
  const end = Math.min(oldest, life.notAfter);
  const early = Math.min(drainMsMax, (end - life.openedAt) / 10);
  if (life.now < (life.quiet ? end - early : end)) return null;
  return life.notAfter <= oldest ? "CERTIFICATE_AGE" : "MAX_AGE";
}

/** Returns a function that stops this. */
export function watchAges(registry: ConnectionRegistry, limits: AgeLimits): () => void {
  let before = new Map<ConnectionRecord, number>();
  const ticker = new Ticker(everyMs, () => {
    const seen = new Map<ConnectionRecord, number>();
    const now = Date.now();
    const epoch = now - performance.now();
    for (const record of registry.live) {
      const bytes = record.bytes;
      const quiet = before.get(record) === bytes;
      seen.set(record, bytes);
      const { notAfter } = record;
      const fault = ageFault({ now, openedAt: epoch + record.openedAt, notAfter, quiet }, limits);
      if (fault !== null) record.downstream.terminate(fault);
    }
    before = seen;
  });
  return () => {
    ticker.stop();
  };
}

const everyMs = 1000;
