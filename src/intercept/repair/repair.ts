/** Rewrites rules that others have changed: without them traffic to the mesh would continue in cleartext. */
import { Deadline } from "../../runtime/deadline.ts";
import { ProxyError } from "../../runtime/errors.ts";
import type { Notice } from "../../netlink/monitor.ts";
import type { Installed } from "../kernel/install.ts";
import type { Connections } from "../kernel/encode.ts";
import { RuleWatch, type KernelView } from "../kernel/watch.ts";

export type RepairObserver = {
  /** Another process has changed them. */
  readonly changed: (watch: RuleWatch) => void;
  /** They were rewritten; `kept` are the preexisting connections still known. */
  readonly repaired: (kept: Connections) => void;
  /** They cannot be rewritten; it is tried again. */
  readonly failed: (reason: string) => void;
  /** New interfaces that may not be given a route: devices.ts. */
  readonly leftOut: (devices: string) => void;
};

export class RuleRepair {
  readonly watch: RuleWatch;
  readonly #rules: Installed;
  readonly #reports: RepairObserver;
  #repairs = 0;
  #last = -Infinity;
  #next: Deadline | null = null;
  #following: Deadline | null = null;
  /** The interfaces without a route. */
  #devices = "";

  /** Starts right after the rules were written. Throws SystemCallError. */
  constructor(rules: Installed, view: KernelView, reports: RepairObserver) {
    this.#rules = rules;
    this.#reports = reports;
    this.watch = new RuleWatch(
      rules.plan(),
      (intact) => {
        if (!intact) this.#changed();
      },
      { ...view, monitor: (notice) => view.monitor(this.#alsoFollowing(notice)) },
    );
  }

  /** How often they were rewritten. */
  get repairs(): number {
    return this.#repairs;
  }

  /** Another process changed them, and the repair process has already rewritten them. */
  restored(kept: Connections): void {
    this.#next?.clear();
    this.#next = null;
    this.#repairs += 1;
    this.#reports.changed(this.watch);
    this.watch.rewritten(this.#rules.plan());
    this.#reports.repaired(kept);
  }

  readonly stop = (): void => {
    this.#next?.clear();
    this.#following?.clear();
    this.watch.stop();
  };

  /** An interface that comes up adds routes of its own. */
  #alsoFollowing(notice: Notice): Notice {
    return (subject, bytes) => {
      if (subject === "routes") this.#followSoon();
      notice(subject, bytes);
    };
  }

  #followSoon(): void {
    this.#following ??= new Deadline(followMs, () => {
      this.#following = null;
      try {
        this.#leftOut(this.#rules.followDevices().join(", "));
      } catch (error) {
        if (!(error instanceof ProxyError)) throw error;
        this.#reports.failed(error.message);
      }
    });
  }

  #leftOut(devices: string): void {
    if (devices !== "" && devices !== this.#devices) this.#reports.leftOut(devices);
    this.#devices = devices;
  }

  #changed(): void {
    this.#reports.changed(this.watch);
    if (this.#rules.isOurs) this.#soon();
  }

  /** At once; but repeated changes must not take all of the proxy's time. */
  #soon(): void {
    const wait = Math.max(0, this.#last + everyMsMin - performance.now());
    this.#next ??= new Deadline(wait, () => {
      this.#next = null;
      if (!this.watch.intact) this.#repair();
    });
  }

  #repair(): void {
    this.#last = performance.now();
    let kept: Connections;
    try {
      kept = this.#rules.repair();
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#reports.failed(error.message);
      this.#soon();
      return;
    }
    this.#repairs += 1;
    this.watch.rewritten(this.#rules.plan());
    this.#reports.repaired(kept);
  }
}

const everyMsMin = 1000;
/** Collects all notices of a moment. */
const followMs = 100;
