/** The rules of a proxy that has given up its privileges and has a keeper of them beside it. */
import type { Interception } from "../config.ts";
import { ProxyError } from "../errors.ts";
import { SystemCallError } from "../native/errno.ts";
import { monitorRules, type Handed } from "../netlink/monitor.ts";
import { kernel } from "../netlink/socket.ts";
import { devicesLeftOut } from "./devices.ts";
import { isAbout } from "./distant.ts";
import type { Installed } from "./install.ts";
import type { KeeperLink } from "./keeper-link.ts";
import type { TableState } from "./keeper-parts.ts";
import type { Connections } from "./lower.ts";
import { planOf, type Plan } from "./plan.ts";
import { hasRoutingOf, isRouted, routingSnapshot } from "./snapshot.ts";
import type { Senses } from "./watch.ts";

/** What the keeper was given at the start can be chosen among, and nothing else. */
export function keeperRules(interception: Interception, link: KeeperLink): Installed {
  const plan = planOf(interception);
  return {
    get isOurs() {
      return link.alive;
    },
    isRemovable: false,
    openBefore: new Map(),
    forget: refuse,
    plan: () => plan,
    hold: refuse,
    change: (next) =>
      Bun.deepEquals(next, interception) && link.alive ? written(link, "open") : refuse(),
    repair: () => written(link, "open"),
    followDevices: () => devicesLeftOut(kernel, plan),
    close: () => {
      written(link, "closed");
    },
    remove: refuse,
    sockets: link.sockets,
  };
}

function refuse(): never {
  const why = "its privileges were given up (--privileges dropped)";
  throw new ProxyError("START_FAILED", `rules: they cannot be changed: ${why}`);
}

function written(link: KeeperLink, state: TableState): Connections {
  try {
    return link.use(state);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const text = `rules: the keeper of the rules: ${error.message}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/**
 * While the keeper lives it says whether the table stands; after that the kernel's notices do, of which those of what the
 * keeper wrote do not count. Rules and routes can be looked up without any privilege.
 */
export class KeeperSenses implements Senses {
  readonly routed = isRouted;
  readonly #plan: Plan;
  readonly #handed: Handed;
  readonly #link: KeeperLink;
  #failing = false;
  #touched = false;
  #look: () => void = () => undefined;

  constructor(plan: Plan, handed: Handed, link: KeeperLink) {
    this.#plan = plan;
    this.#handed = handed;
    this.#link = link;
  }

  /** What the keeper says of the table. */
  takes(how: "restored" | "failed" | "gone"): void {
    if (how !== "gone") this.#failing = how === "failed";
    if (how === "restored") this.#touched = false;
    this.#look();
  }

  readonly monitor: Senses["monitor"] = (notice) => {
    this.#look = () => {
      notice("rules", null);
    };
    return monitorRules(
      (subject, bytes) => {
        if (subject === "rules") this.#hear(bytes);
        notice(subject, bytes);
      },
      ["rules", "routes"],
      this.#handed,
    );
  };

  readonly look: Senses["look"] = (of) =>
    this.#stands && hasRoutingOf(of) ? routingSnapshot(of) : "";

  readonly table: Senses["table"] = () => (this.#stands ? "untouched" : "touched");

  get #stands(): boolean {
    return !this.#failing && (this.#link.alive || !this.#touched);
  }

  #hear(bytes: Uint8Array | null): void {
    if (bytes === null || isAbout(this.#plan, bytes, this.#link.tablePort)) this.#touched = true;
  }
}
