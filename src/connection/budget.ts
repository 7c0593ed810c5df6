/**
 * The limits that follow from the available memory: the number of connections, and the bytes of each kind of buffer.
 * Pure.
 */
import { memoryPlan, outboundReservePart } from "../config.ts";
import type { MemoryLimit } from "../native/memory-limit.ts";

export type Budget = {
  readonly memoryBytes: number;
  /** Whether unread data in the kernel counts too. */
  readonly countsSockets: boolean;
  /** Live connections. */
  readonly connectionsMax: number;
  /** Places for connections that inbound ones never take. */
  readonly outboundReserve: number;
  /** Inbound connections whose peer is not verified. */
  readonly strangersMax: number;
  /** Simultaneous inbound handshakes. */
  readonly handshakesMax: number;
  /** What unverified clients may make us buffer in addition, and servers as much again. */
  readonly unverifiedBytesMax: number;
  /** Total of what is buffered for stopped readers. */
  readonly heldBytesMax: number;
};

/** `connectionsMax` is the configured limit, within what descriptors allow; unverified peers may have half of it. */
export function budgetOf(
  { bytes: memoryBytes, countsSockets }: Pick<MemoryLimit, "bytes" | "countsSockets">,
  connectionsMax: number,
): Budget {
  const plan = memoryPlan;
  const spare = Math.max(plan.spareBytesMin, memoryBytes - plan.restBytes);
  const eighths = (count: number): number => Math.floor((spare * count) / 8);
  const unverified = Math.min(plan.unverifiedBytesMax, eighths(plan.unverifiedEighths));
  const inMemory = Math.floor(eighths(plan.connectionsEighths) / plan.connectionBytes);
  const live = Math.min(connectionsMax, inMemory);
  const handshakes = Math.floor(unverified / 2 / plan.handshakeBytes);
  return {
    memoryBytes,
    countsSockets,
    connectionsMax: live,
    outboundReserve: live === 1 ? 0 : Math.ceil(live / outboundReservePart),
    strangersMax: Math.ceil(connectionsMax / 2),
    handshakesMax: Math.min(plan.handshakesMax, Math.max(plan.handshakesMin, handshakes)),
    unverifiedBytesMax: Math.floor(unverified / 4),
    heldBytesMax: eighths(plan.heldEighths),
  };
}

/** One line at the start, and when memory changes. `source` names where the limit comes from. */
export function describeBudget(budget: Budget, source: string): string {
  return (
    `${budget.connectionsMax} connections at most: ${budget.outboundReserve} of them outbound only, ` +
    `${Math.min(budget.strangersMax, budget.connectionsMax)} with peers that are not verified. ` +
    `${budget.handshakesMax} inbound handshakes at once, ${mebibytes(budget.unverifiedBytesMax)} for all others. ` +
    `${mebibytes(budget.heldBytesMax)} for readers that have stopped. ` +
    `This follows from ${mebibytes(budget.memoryBytes)} of memory (${source}), --connections and ulimit -n`
  );
}

function mebibytes(bytes: number): string {
  const value = bytes / 2 ** 20;
  return `${value < 10 ? value.toFixed(1) : String(Math.floor(value))} MiB`;
}
