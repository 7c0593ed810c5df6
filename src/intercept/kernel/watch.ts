/** Whether the rules are intact: checked whenever the kernel reports a change to rules. */
import { Deadline } from "../../runtime/deadline.ts";
import { ProxyError } from "../../runtime/errors.ts";
import { monitorRules, type Monitor, type Notice } from "../../netlink/monitor.ts";
import type { Plan } from "../rules/rule.ts";
import type { Family } from "../../net/address.ts";
import { isRouted, snapshot, tableSnapshot } from "./snapshot.ts";
import { families } from "../rules/steps.ts";

/** The kernel's notices and answers; tests provide others. */
export type KernelView = {
  readonly monitor: (notice: Notice) => Monitor;
  readonly rulesAndRoutes: (plan: Plan) => string;
  /** The table only, for comparison in the same way as `look`. */
  readonly table: (plan: Plan) => string;
  /** Whether marked packets of the family are routed to `lo`. */
  readonly routed: (plan: Plan, of: Family) => boolean;
};

export class RuleWatch {
  #plan: Plan;
  readonly #changed: (intact: boolean) => void;
  readonly #view: KernelView;
  /** Null: the rules were written, but the kernel could not return their state. */
  #written: string | null;
  #table = "";
  /** Families whose answers reach the proxy. */
  #led: readonly Family[] = families;
  readonly #monitor: Monitor;
  #intact = true;
  #next: Deadline | null = null;

  /** Starts right after `plan` was installed; `changed` is called when the result changes. Throws SystemCallError. */
  constructor(plan: Plan, changed: (intact: boolean) => void, view: KernelView) {
    this.#plan = plan;
    this.#changed = changed;
    this.#view = view;
    this.#monitor = view.monitor(() => {
      this.#soon(settleMs);
    });
    try {
      const found = view.rulesAndRoutes(plan);
      this.#written = found === "" ? null : found;
      this.#table = view.table(plan);
    } catch (error) {
      this.#monitor.stop();
      throw error;
    }
    if (this.#written === null) this.#soon(settleMs);
  }

  get intact(): boolean {
    return this.#intact;
  }

  /**
   * Whether an application's answers to a client's own address reach the proxy, even if the rules have been changed.
   */
  returnsToProxy(of: Family): boolean {
    return this.#led.includes(of);
  }

  /** Whether the rules and routes are intact at this moment; false if the kernel gives no answer. */
  looksIntact(): boolean {
    try {
      const found = this.#view.rulesAndRoutes(this.#plan);
      return found !== "" && found === this.#written;
    } catch (error) {
      if (error instanceof ProxyError) return false;
      throw error;
    }
  }

  /** Records that we have rewritten all of them, as in `plan`. */
  rewritten(plan: Plan): void {
    this.#plan = plan;
    this.#written = null;
    this.#table = "";
    this.#compare();
  }

  stop(): void {
    this.#next?.clear();
    this.#monitor.stop();
  }

  /** One check for all notices of a moment. */
  #soon(milliseconds: number): void {
    this.#next ??= new Deadline(milliseconds, () => {
      this.#next = null;
      this.#compare();
    });
  }

  #ledNow(): readonly Family[] {
    if (this.#table === "" || this.#view.table(this.#plan) !== this.#table) return [];
    return families.filter((of) => this.#view.routed(this.#plan, of));
  }

  /** Asks again if the kernel cannot answer now (no descriptor, concurrent changes). */
  #compare(): void {
    try {
      const found = this.#view.rulesAndRoutes(this.#plan);
      if (found !== "" && this.#written === null) {
        this.#written = found;
        this.#table = this.#view.table(this.#plan);
      }
      const intact = found !== "" && found === this.#written;
      const led = intact ? families : this.#ledNow();
      const same = intact === this.#intact && this.#led.every((of) => led.includes(of));
      this.#intact = intact;
      this.#led = led;
      if (!same) this.#changed(intact);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#soon(againMs);
    }
  }
}

/** For a process with CAP_NET_ADMIN. */
export const privilegedView: KernelView = {
  monitor: monitorRules,
  rulesAndRoutes: snapshot,
  table: tableSnapshot,
  routed: isRouted,
};
const settleMs = 100;
const againMs = 1000;
