/** The memory available to the proxy, read periodically: the limit of a running container can be changed. */
import { budgetOf, describeBudget, type Budget } from "./budget.ts";
import { memoryPlan, type Limits } from "../config.ts";
import { Ticker } from "../runtime/deadline.ts";
import type { Log } from "../runtime/log/log.ts";
import { MemoryLimits, type HiddenHierarchy, type MemoryLimit } from "../native/memory-limit.ts";

/** `connectionsMax`: the configured limit, within what descriptors allow. */
export type PlannedLimits = Pick<Limits, "memoryBytesMax" | "connectionsMax">;

export class Memory {
  readonly #wanted: PlannedLimits;
  readonly #log: Pick<Log, "write">;
  /** Control groups hidden from this process; open as long as it lives. */
  readonly groups: readonly HiddenHierarchy[];
  readonly #limits: MemoryLimits;
  #budget: Budget;

  constructor(wanted: PlannedLimits, log: Pick<Log, "write">, groups: readonly HiddenHierarchy[]) {
    this.#wanted = wanted;
    this.#log = log;
    this.groups = groups;
    this.#limits = new MemoryLimits(groups);
    this.#budget = budgetOf(this.#read(), wanted.connectionsMax);
  }

  get budget(): Budget {
    return this.#budget;
  }

  /** The resulting limits in words. */
  get text(): string {
    return describeBudget(this.#budget, this.#read().file);
  }

  introduce(): void {
    const { budget } = this;
    const { memoryBytes, connectionsMax, handshakesMax, heldBytesMax } = budget;
    this.#log.write("I", "limits", this.text, {
      memory_bytes: memoryBytes,
      connections: connectionsMax,
      handshakes: handshakesMax,
      held_bytes: heldBytesMax,
    });
  }

  /** Calls `changed` after the limit has changed. Returns a function that stops this. */
  watch(changed: () => void, everyMs: number = memoryPlan.readMs): () => void {
    const ticker = new Ticker(everyMs, () => {
      const limit = this.#read();
      if (limit.bytes === this.#budget.memoryBytes) return;
      this.#budget = budgetOf(limit, this.#wanted.connectionsMax);
      this.introduce();
      changed();
    });
    return () => {
      ticker.stop();
    };
  }

  #read(): MemoryLimit {
    const { memoryBytesMax } = this.#wanted;
    if (memoryBytesMax === null) return this.#limits.read();
    return { bytes: memoryBytesMax, file: "--memory", countsSockets: false };
  }
}
