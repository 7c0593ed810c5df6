/**
 * The rules for a process that may not change them: after privileges were dropped, or when others have applied them.
 */
import { ProxyError } from "../../runtime/errors.ts";
import { readChanges } from "../../netlink/nftables.ts";
import { monitorRules, type HandedSubscriptions, type Subject } from "../../netlink/monitor.ts";
import { kernel } from "../../netlink/socket.ts";
import { devicesLeftOut } from "./devices.ts";
import type { Installed } from "./install.ts";
import { planOf } from "../rules/plan.ts";
import type { Plan } from "../rules/rule.ts";
import { fleetingSets } from "../rules/sets.ts";
import { hasRoutingOf, isRouted, routingSnapshot } from "./snapshot.ts";
import type { KernelView } from "./watch.ts";
import type { Interception } from "../rules/interception.ts";

/** `why` says in errors why they cannot be changed. */
export function externalRules(interception: Interception, why: string): Installed {
  const plan = planOf(interception);
  const refuse = (): never => {
    throw new ProxyError("RESTART_NEEDED", `the rules cannot be changed: ${why}`);
  };
  return {
    plan: () => plan,
    isOurs: false,
    isRemovable: false,
    openBefore: new Map(),
    forget: refuse,
    prepare: async () => undefined,
    holdNew: refuse,
    change: refuse,
    repair: refuse,
    followDevices: () => devicesLeftOut(kernel, plan),
    close: refuse,
    remove: refuse,
    sockets: kernel,
  };
}

/**
 * Routing rules and routes are looked up; nftables may not even be listed. A kernel notice about our table, on a
 * socket opened earlier, shows that it was changed. Without such a socket (`handed`) changes to nftables are not
 * detected.
 */
export function externalView(plan: Plan, handed: HandedSubscriptions): KernelView {
  let touched = false;
  const subjects: readonly Subject[] =
    handed.rules === undefined ? ["routes"] : ["rules", "routes"];
  return {
    monitor: (notice) =>
      monitorRules(
        (subject, bytes) => {
          if (subject === "rules" && (bytes === null || isAbout(plan, bytes))) touched = true;
          notice(subject, bytes);
        },
        subjects,
        handed,
      ),
    rulesAndRoutes: (of) => (touched || !hasRoutingOf(of) ? "" : routingSnapshot(of)),
    table: () => (touched ? "touched" : "untouched"),
    routed: isRouted,
  };
}

/** Changes by packets do not count, nor those requested by the socket with this port. */
export function isAbout(plan: Plan, bytes: Uint8Array, own: number | null = null): boolean {
  const fleeting: readonly (string | null)[] = fleetingSets;
  try {
    return readChanges(bytes).some(
      ({ table, set, port }) => table === plan.table && port !== own && !fleeting.includes(set),
    );
  } catch (error) {
    if (error instanceof ProxyError) return true;
    throw error;
  }
}
