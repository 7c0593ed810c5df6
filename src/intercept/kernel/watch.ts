/** Whether the rules stand as they were written: looked up whenever the kernel says that rules have changed. */
import { Deadline } from "../../runtime/deadline.ts";
import { ProxyError } from "../../runtime/errors.ts";
import { monitorRules, type Monitor, type Notice } from "../../netlink/monitor.ts";
import type { Plan } from "../rules/rule.ts";
import type { Family } from "../../net/address.ts";
import { isRouted, snapshot, tableSnapshot } from "./snapshot.ts";
import { families } from "../rules/steps.ts";

/** The kernel's notices and its answers; a test has others. */
export type KernelView = {
  readonly monitor: (notice: Notice) => Monitor;
  readonly rulesAndRoutes: (plan: Plan) => string;
  /** Of the table alone, to be compared as `look`'s answer is. */
  readonly table: (plan: Plan) => string;
  /** Whether marked packets of the family are led to `lo`. */
  readonly routed: (plan: Plan, of: Family) => boolean;
};

export class RuleWatch {
  #plan: Plan;
  readonly #changed: (intact: boolean) => void;
  readonly #view: KernelView;
  /** Null: they were written, and the kernel could not tell how they stand. */
  #written: string | null;
  #table = "";
  /** Families whose answers come to the proxy. */
  #led: readonly Family[] = families;
  readonly #monitor: Monitor;
  #intact = true;
  #next: Deadline | null = null;

  /** Begins right after `plan` was installed; `changed` is called when the answer changes. Throws SystemCallError. */
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

  /** Whether what an application answers to a client's own address comes to the proxy, though they may be touched. */
  returnsToProxy(of: Family): boolean {
    return this.#led.includes(of);
  }

  /** Whether they stand as they were written at this very moment; false where the kernel cannot tell. */
  looksIntact(): boolean {
    try {
      const found = this.#view.rulesAndRoutes(this.#plan);
      return found !== "" && found === this.#written;
    } catch (error) {
      if (error instanceof ProxyError) return false;
      throw error;
    }
  }

  /** They were written anew, by us and whole, as `plan` has it. */
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

  /** One look for all notices of a moment. */
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

  /** A kernel that cannot answer now (no descriptor, rules that change meanwhile) is asked again. */
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

/** Of a process with CAP_NET_ADMIN. */
export const privilegedView: KernelView = {
  monitor: monitorRules,
  rulesAndRoutes: snapshot,
  table: tableSnapshot,
  routed: isRouted,
};
const settleMs = 100;
const againMs = 1000;
