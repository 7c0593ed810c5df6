/** --privileges dropped: does what needs CAP_NET_ADMIN first, then re-executes the program without it. */
import { handleCleartext } from "./cleartext-at-start.ts";
import type { FirstReads } from "../reload/reload.ts";
import { assertDescriptors, boundsOf } from "./bounds.ts";
import { openHiddenHierarchies } from "../native/memory-limit.ts";
import { closedWith, openSockets, UnservedSockets } from "./sockets.ts";
import { socketOptionsOf } from "../net/socket-options.ts";
import { ownMark } from "../intercept/rules/marks.ts";
import { interceptionOf } from "../intercept/rules/interception.ts";
import { assertServable } from "./serve.ts";

import type { Config } from "../config.ts";
import { ProxyError } from "../runtime/errors.ts";
import { reexecWith } from "./reexec.ts";
import { InForce } from "../reload/in-force.ts";
import { deviceRoutes } from "../intercept/kernel/devices.ts";
import { install, withPorts, type Installed } from "../intercept/kernel/install.ts";
import { entrustRules } from "../intercept/repair/link.ts";
import { textOf } from "../intercept/repair/parts.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { packTuples } from "../intercept/cleartext/preexisting.ts";
import type { Log } from "../runtime/log/log.ts";
import { SystemCallError } from "../native/errno.ts";
import * as native from "../native/native.ts";
import { spawnRepairProcess, type RepairProcess } from "../native/repair-process.ts";
import { capability, hasCapability } from "../native/privileges.ts";
import { firstUnprivilegedPort } from "../net/ports.ts";
import { isErrno, kernel } from "../netlink/socket.ts";
import { openSubscription } from "../netlink/monitor.ts";

/** The state that a process needs to drop its privileges. */
export type PrivilegeDrop = {
  readonly first: FirstReads;
  /** Null without CAP_NET_ADMIN. */
  readonly repairProcess: RepairProcess | null;
};

/**
 * The first half of a start (start.ts), in the same order; `startProxy` is the second half, after the re-execution.
 * Listening sockets queue connections meanwhile. Returns only by throwing ProxyError; then no rules are left.
 */
export function dropPrivileges(
  config: Config,
  log: Log,
  { first, repairProcess }: PrivilegeDrop,
): never {
  using undo = new DisposableStack();
  const inForce = new InForce(config, first.credentials.value, first.policy.value);
  assertDescriptors();
  const { limits } = boundsOf(config, undo);
  const groups = closedWith(undo, openHiddenHierarchies());
  const sockets = openSockets(config, socketOptionsOf(limits, ownMark(config.fixed.mark)));
  undo.use(new UnservedSockets(sockets));
  const interception = interceptionOf(inForce.applied.policy, config.fixed);
  assertServable(config, inForce.terminating, sockets.places);
  assertKeepable();
  const rules = install(interception);
  try {
    if (repairProcess === null) throw new SystemCallError("start the repair process", noPermission);
    const notices = { rules: undo.adopt(openSubscription("rules"), native.close) };
    // Late, because it resets connections; but it may write to the rules, which the repair process would undo.
    const preexisting = packTuples(handleCleartext(rules, config, { inForce, log }));
    reexecWith(
      {
        ...sockets,
        preexisting,
        groups,
        notices,
        repair: entrustRules(repairProcess, interception, {
          known: withPorts(new Map()),
          devices: deviceRoutes(kernel, planOf(interception)),
        }),
        interception: textOf(interception),
      },
      keptCapabilities(),
      config.command,
    );
  } catch (error) {
    const left = removed(rules) ? "" : " The rules stay: they can no longer be taken away";
    if (!(error instanceof SystemCallError)) throw error;
    const text = `--privileges dropped: ${error.message}.${isErrno(error, "EPERM") ? ` ${netRawNeeded}` : ""}${left}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/**
 * Called before anything is changed. A missing CAP_NET_ADMIN is reported better by the rules. Throws START_FAILED.
 */
function assertKeepable(): void {
  if (!hasCapability(capability.netAdmin) || hasCapability(capability.netRaw)) return;
  const text =
    "--privileges dropped: CAP_NET_RAW is missing, which the proxy keeps: add NET_RAW to the container's capabilities, or " +
    "use --privileges kept.";
  throw new ProxyError("START_FAILED", text);
}

/** Includes CAP_NET_BIND_SERVICE only if it exists and is needed: for clients with a reserved source port. */
function keptCapabilities(): readonly number[] {
  const { netRaw, netBindService } = capability;
  const needed = firstUnprivilegedPort() > 1 && hasCapability(netBindService);
  return needed ? [netRaw, netBindService] : [netRaw];
}

/**
 * Called before any secret is read, so that the repair process has none. Null without CAP_NET_ADMIN, which the rules
 * need too, and report. Throws START_FAILED.
 */
export function startRepairProcess(command: readonly string[]): RepairProcess | null {
  if (!hasCapability(capability.netAdmin)) return null;
  try {
    return spawnRepairProcess({
      command,
      environment: { ...process.env, [rulesAloneVariable]: "1" },
    });
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const text = `--privileges dropped: ${error.message}. It needs two more processes: allow them, or use --privileges kept`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/** False if the privilege was already dropped. */
function removed(rules: Installed): boolean {
  try {
    rules.remove();
    return true;
  } catch (error) {
    if (error instanceof ProxyError) return false;
    throw error;
  }
}

const netRawNeeded = "It keeps CAP_NET_RAW: add that, or use --privileges kept.";
/** Makes the program output the rules and exit: cli/rules-alone.ts. */
export const rulesAloneVariable = "TPROXY_RULES_ALONE";
/** EPERM */
const noPermission = 1;
