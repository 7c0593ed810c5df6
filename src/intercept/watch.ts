/** Whether the rules stand as they were written: looked up whenever the kernel says that rules have changed. */
import { Deadline } from "../deadline.ts";
import { monitorRules } from "../netlink/monitor.ts";
import type { Plan } from "./plan.ts";
import { snapshot } from "./snapshot.ts";

export class RuleWatch {
  readonly #plan: Plan;
  readonly #changed: (intact: boolean) => void;
  readonly #written: string;
  readonly #stop: () => void;
  #intact = true;
  #look: Deadline | null = null;

  /** Begins right after `plan` was installed; `changed` is called when the answer changes. Throws SystemCallError. */
  constructor(plan: Plan, changed: (intact: boolean) => void) {
    this.#plan = plan;
    this.#changed = changed;
    const monitor = monitorRules(() => {
      this.#soon();
    });
    this.#stop = monitor.stop;
    this.#written = snapshot(plan);
  }

  get intact(): boolean {
    return this.#intact;
  }

  stop(): void {
    this.#look?.clear();
    this.#stop();
  }

  /** One look for all notices of a moment. */
  #soon(): void {
    this.#look ??= new Deadline(settleMs, () => {
      this.#look = null;
      this.#compare();
    });
  }

  #compare(): void {
    const intact = snapshot(this.#plan) === this.#written;
    if (intact === this.#intact) return;
    this.#intact = intact;
    this.#changed(intact);
  }
}

const settleMs = 100;
