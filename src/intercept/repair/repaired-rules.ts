/** The rules of a proxy that has dropped its privileges and has a repair process. */
import type { Interception } from "../rules/interception.ts";
import { ProxyError } from "../../runtime/errors.ts";
import { escapeText, shorten } from "../../runtime/log/escape.ts";
import { SystemCallError } from "../../native/errno.ts";
import { monitorRules, type HandedSubscriptions } from "../../netlink/monitor.ts";
import { kernel } from "../../netlink/socket.ts";
import { devicesLeftOut } from "../kernel/devices.ts";
import { isAbout } from "../kernel/external.ts";
import type { Installed } from "../kernel/install.ts";
import type { RepairLink } from "./link.ts";
import { digestOf, type TableState } from "./parts.ts";
import type { Connections } from "../kernel/encode.ts";
import { changingPlanOf, planOf } from "../rules/plan.ts";
import type { Plan } from "../rules/rule.ts";
import { hasRoutingOf, isRouted, routingSnapshot } from "../kernel/snapshot.ts";
import type { KernelView } from "../kernel/watch.ts";

type Link = Pick<RepairLink, "alive" | "use" | "prepare" | "adopt" | "sockets">;

/** Other rules are read from the files by a separate process: this one can only request them. */
export function repairedRules(interception: Interception, link: Link): Installed {
  let now = { interception, plan: planOf(interception) };
  let state: TableState = "open";
  let prepared: Interception | null = null;
  const become = (next: typeof now, as: TableState): Connections => {
    const isOther = !Bun.deepEquals(next.interception, now.interception);
    if (isOther && !Bun.deepEquals(next.interception, prepared)) refuse();
    const kept = written(() => (isOther ? link.adopt() : link.use(as)));
    prepared = null;
    now = next;
    state = as;
    return kept;
  };
  return {
    get isOurs() {
      return link.alive;
    },
    isRemovable: false,
    openBefore: new Map(),
    forget: refuse,
    plan: () => now.plan,
    prepare: async (next) => {
      prepared = null;
      await prepareRules(next, link);
      prepared = next;
    },
    holdNew: () => {
      const ready = prepared;
      become({ ...now, plan: changingPlanOf(now.interception) }, "changing");
      prepared = ready;
    },
    change: (next) => become({ interception: next, plan: planOf(next) }, "open"),
    repair: () => written(() => link.use(state)),
    followDevices: () => devicesLeftOut(kernel, now.plan),
    close: () => {
      written(() => link.use("closed"));
    },
    remove: refuse,
    sockets: link.sockets,
  };
}

/** The files may have changed when they are read again: then they are read once more. Throws START_FAILED. */
async function prepareRules(next: Interception, link: Link): Promise<void> {
  const wanted = digestOf(next);
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const prepared = await link.prepare();
    if (prepared?.outcome !== "good")
      throw notPrepared(prepared?.outcome ?? "late", prepared?.reason);
    if (prepared.digest === wanted) return;
  }
  throw notPrepared("other contents");
}

/** `reason`: the stderr of that process, which is the program's message for a failed start. */
function notPrepared(outcome: keyof typeof reasons, reason = ""): ProxyError {
  const code = hopeless.has(outcome) ? "RESTART_NEEDED" : "START_FAILED";
  const words = reason
    .replace(/^tls-tproxy: /, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  const why = words === "" ? "" : `: ${escapeText(shorten(words, reasonLengthMax))}`;
  const advice = hopeless.has(outcome) ? "Restart the proxy" : "The proxy tries again";
  const text = `rules: a separate process must read the files first, but ${reasons[outcome]}${why}. ${advice}`;
  return new ProxyError(code, text);
}

const attemptsMax = 3;
const reasonLengthMax = 300;
const reasons = {
  late: "it takes too long, or the repair process has ended",
  "no launcher": "its launcher has ended",
  busy: "the previous one has not ended yet",
  "not read": "it has failed",
  "not ours": "its output is not the proxy's rules",
  "other contents":
    "it read different contents than the proxy did, because the files changed again",
  good: "",
} as const;
/** Outcomes that stay the same until the proxy is restarted. */
const hopeless: ReadonlySet<string> = new Set(["no launcher", "not ours"]);

function refuse(): never {
  const why = "the proxy has dropped its privileges (--privileges dropped)";
  throw new ProxyError("START_FAILED", `the rules cannot be changed: ${why}`);
}

function written(act: () => Connections): Connections {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const text = `rules: the repair process failed: ${error.message}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/**
 * While the repair process lives, it reports whether the table is intact; afterwards the kernel's notices do, except
 * those caused by the repair process's own writes. Rules and routes can be looked up without any privilege.
 */
export class RepairView implements KernelView {
  readonly routed = isRouted;
  readonly #plan: Plan;
  readonly #handed: HandedSubscriptions;
  readonly #link: RepairLink;
  #failing = false;
  #touched = false;
  #look: () => void = () => undefined;

  constructor(plan: Plan, handed: HandedSubscriptions, link: RepairLink) {
    this.#plan = plan;
    this.#handed = handed;
    this.#link = link;
  }

  /** Handles a report of the repair process about the table. */
  takes(how: "restored" | "failed" | "gone"): void {
    if (how !== "gone") this.#failing = how === "failed";
    if (how === "restored") this.#touched = false;
    this.#look();
  }

  readonly monitor: KernelView["monitor"] = (notice) => {
    this.#look = () => {
      notice("rules", null);
    };
    return monitorRules(
      (subject, bytes) => {
        if (subject === "rules") this.#noticed(bytes);
        notice(subject, bytes);
      },
      ["rules", "routes"],
      this.#handed,
    );
  };

  readonly rulesAndRoutes: KernelView["rulesAndRoutes"] = (of) =>
    this.#stands && hasRoutingOf(of) ? routingSnapshot(of) : "";

  readonly table: KernelView["table"] = () => (this.#stands ? "untouched" : "touched");

  get #stands(): boolean {
    return !this.#failing && (this.#link.alive || !this.#touched);
  }

  #noticed(bytes: Uint8Array | null): void {
    if (bytes === null || isAbout(this.#plan, bytes, this.#link.tablePort)) this.#touched = true;
  }
}
