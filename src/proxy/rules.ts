/** What a proxy stands on: sockets that listen, rules, and how it hears of their changes. By whom they are made, differs. */
import type { TLSOptions } from "bun";

import { openStatus } from "../status/server.ts";
import type { Config } from "../config.ts";
import type { Fixed, Interception } from "../intercept/rules/interception.ts";
import { ProxyError } from "../runtime/errors.ts";
import { reexecWith, type HandedState } from "./reexec.ts";
import type { InForce } from "../reload/in-force.ts";
import { refusedInCleartext } from "../intercept/cleartext/refused.ts";
import { externalRules, externalView } from "../intercept/kernel/external.ts";
import { deviceRoutes } from "../intercept/kernel/devices.ts";
import { settleDiversion, tryDiversion } from "../intercept/trial/diversion.ts";
import { install, withPorts, type Installed } from "../intercept/kernel/install.ts";
import { entrustRules, RepairLink, type RepairEvents } from "../intercept/repair/link.ts";
import { textOf } from "../intercept/repair/parts.ts";
import { repairedRules, RepairView } from "../intercept/repair/rules.ts";
import { legacyTables } from "../intercept/trial/legacy-tables.ts";
import { listeningPorts, type Tuple } from "../intercept/kernel/open-before.ts";
import { planOf } from "../intercept/rules/plan.ts";
import { packTuples, settlePreexisting } from "../intercept/cleartext/preexisting.ts";
import { knownAddresses, whyNotTried } from "../intercept/trial/trial.ts";
import { trialTargets } from "../intercept/trial/targets.ts";
import { hasRoutingOf } from "../intercept/kernel/snapshot.ts";
import { privilegedView, type KernelView } from "../intercept/kernel/watch.ts";
import { diversionLines } from "../intercept/trial/report.ts";
import { reportPreexisting } from "../intercept/cleartext/report.ts";
import type { Log } from "../runtime/log/log.ts";
import { SystemCallError } from "../native/errno.ts";
import { spawnRepairProcess, type RepairProcess } from "../native/repair-process.ts";
import * as native from "../native/native.ts";
import { capability, hasCapability } from "../native/privileges.ts";
import { formatSocketAddress } from "../net/address.ts";
import { credentialsRefused } from "../net/listener.ts";
import { ephemeralPorts, firstUnprivilegedPort } from "../net/ports.ts";
import type { SocketOptions } from "../net/socket-options.ts";
import { kernel } from "../netlink/socket.ts";
import { openHearing } from "../netlink/monitor.ts";
import { named, openPlaces } from "./serve.ts";

/** Sockets as they are opened, or were handed to us. */
export type Sockets = Pick<HandedState, "places" | "status">;

/** Throws START_FAILED; what is open already is on `undo`. */
export function openSockets(
  config: Config,
  socketOptions: SocketOptions,
  undo: DisposableStack,
): Sockets {
  const places = [...openPlaces(config, socketOptions, undo)];
  const { statusAddress } = config;
  const status = named(
    `--status-address ${formatSocketAddress(statusAddress)}`,
    statusAddress,
    () => openStatus(statusAddress, socketOptions),
  );
  undo.defer(() => {
    native.close(status);
  });
  return { places, status };
}

/**
 * puts the rules in place and re-executes this program, with what relaying needs and nothing else. What listens already
 * takes connections in meanwhile. Returns only by throwing ProxyError; then no rules are left.
 */
export function giveUpPrivileges(
  interception: Interception,
  sockets: Sockets,
  { tls, command, settle, groups, repairProcess: keeper }: PrivilegeDrop,
): never {
  assertTaken(tls);
  assertKeepable();
  const rules = install(interception);
  try {
    if (keeper === null) throw new SystemCallError("start the repair process", noPermission);
    reexecWith(
      {
        ...sockets,
        preexisting: packTuples(settle(rules)),
        groups,
        notices: { rules: openHearing("rules") },
        repair: entrustRules(keeper, interception, {
          known: withPorts(new Map()),
          devices: deviceRoutes(kernel, planOf(interception)),
        }),
        interception: textOf(interception),
      },
      keptCapabilities(),
      command,
    );
  } catch (error) {
    const left = removed(rules) ? "" : " The rules stay: they can no longer be taken away";
    if (!(error instanceof SystemCallError)) throw error;
    const text = `--privileges dropped: ${error.message}. It keeps CAP_NET_RAW: add that, or use --privileges kept.${left}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

/** Before anything is changed. What CAP_NET_ADMIN is missing for, the rules say better. Throws START_FAILED. */
function assertKeepable(): void {
  if (!hasCapability(capability.netAdmin) || hasCapability(capability.netRaw)) return;
  const text =
    "--privileges dropped: CAP_NET_RAW is missing, which the proxy keeps: add NET_RAW to the container's capabilities, or " +
    "use --privileges kept.";
  throw new ProxyError("START_FAILED", text);
}

/** CAP_NET_BIND_SERVICE only where it is there and needed: for clients whose source port is a reserved one. */
function keptCapabilities(): readonly number[] {
  const { netRaw, netBindService } = capability;
  const needed = firstUnprivilegedPort() > 1 && hasCapability(netBindService);
  return needed ? [netRaw, netBindService] : [netRaw];
}

/** What a process needs that is about to give up its privileges. */
export type PrivilegeDrop = {
  readonly tls: TLSOptions;
  readonly command: readonly string[];
  readonly repairProcess: RepairProcess | null;
  /** Right after the rules were put in place: returns the connections that are left in cleartext. */
  readonly settle: (rules: Installed) => readonly Tuple[];
  readonly groups: HandedState["groups"];
};

/** Leaves or resets what is in cleartext from before the rules, and logs it. What it returns throws START_FAILED. */
export function settling(
  { fixed, preexisting }: Config,
  { inForce, log }: { readonly inForce: InForce; readonly log: Log },
): PrivilegeDrop["settle"] {
  return (rules) => {
    const ends = { listening: listeningPorts(), ephemeral: ephemeralPorts() };
    const refused = refusedInCleartext(inForce.rules.policy, fixed, ends);
    const found = settlePreexisting(rules, { mode: preexisting, refused });
    reportPreexisting(found, refused, (text, count) => {
      log.write("W", "proxy", text, { preexisting: count });
    });
    reportDiversion(rules, fixed, { inForce, log });
    return found.left;
  };
}

/** Trial connections, once the rules stand and the sockets listen; again when the rules were written again. */
export function reportDiversion(
  rules: Installed,
  fixed: Fixed,
  { inForce, log }: { readonly inForce: InForce; readonly log: Log },
): void {
  const why = whyNotTried(fixed);
  if (why !== null) {
    log.write("I", "rules", `no trial connections: ${why}`);
    return;
  }
  try {
    const targets = trialTargets(inForce.rules.policy, fixed, knownAddresses());
    const diversion = rules.isOurs
      ? settleDiversion(targets, fixed.mark)
      : tryDiversion(targets, 0);
    for (const { severity, text } of diversionLines(diversion, legacyTables()))
      log.write(severity, "rules", text);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log.write("W", "rules", `trial connections could not be made: ${error.message}`);
  }
}

/**
 * Before anything secret is read: the keeper is to have none of it. Null without CAP_NET_ADMIN, which the rules cannot do
 * without either, and say so. Throws START_FAILED.
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

/** False where the right to do it was given up already. */
function removed(rules: Installed): boolean {
  try {
    rules.remove();
    return true;
  } catch (error) {
    if (error instanceof ProxyError) return false;
    throw error;
  }
}

/** Tries what could fail later, when nobody may take the rules away again. Throws CREDENTIALS_INVALID. */
function assertTaken(tls: TLSOptions): void {
  try {
    Bun.listen({ hostname: "127.0.0.1", port: 0, tls, socket: { data: () => undefined } }).stop();
  } catch (error) {
    throw credentialsRefused(error);
  }
}

export type StandingRules = {
  readonly rules: Installed;
  readonly view: KernelView;
  /** Null where this process may change the rules itself, or nobody here may. */
  readonly repairProcess: RepairLink | null;
};

/** Throws START_FAILED; then rules are as they were found. */
export function standingRules(
  config: Config,
  interception: Interception,
  handed: HandedState | null,
  events: RepairEvents,
): StandingRules {
  if (config.rules === "external") return standingExternalRules(interception);
  if (handed === null)
    return { rules: install(interception), view: privilegedView, repairProcess: null };
  if (hasCapability(capability.netAdmin))
    throw new ProxyError("START_FAILED", "--privileges dropped: CAP_NET_ADMIN is still there");
  if (handed.interception !== textOf(interception) || !hasRoutingOf(planOf(interception)))
    throw new ProxyError(
      "START_FAILED",
      "--privileges dropped: the rules are others by now. Start it again",
    );
  return handedRules(interception, handed, events);
}

function handedRules(
  interception: Interception,
  { repair: keeper, notices }: HandedState,
  events: RepairEvents,
): StandingRules {
  const link = new RepairLink(keeper, {
    restored: (how) => {
      view.takes("restored");
      events.restored(how);
    },
    failed: (errno) => {
      view.takes("failed");
      events.failed(errno);
    },
    launcherGone: events.launcherGone,
    gone: () => {
      view.takes("gone");
      events.gone();
    },
  });
  const view = new RepairView(planOf(interception), notices, link);
  return { rules: repairedRules(interception, link), view, repairProcess: link };
}

function standingExternalRules(interception: Interception): StandingRules {
  const plan = planOf(interception);
  if (!hasRoutingOf(plan)) throw new ProxyError("START_FAILED", noRules);
  const rules = externalRules(interception, externalReason);
  return { rules, view: externalView(plan, {}), repairProcess: null };
}

const noRules =
  "--rules external: there are none in this network namespace. Put them in place first, with the same options: " +
  "tls-tproxy rules --apply, in an init container with NET_ADMIN";
/** Tells the program to say what the rules are, and end: cli/rules-alone.ts. */
export const rulesAloneVariable = "TPROXY_RULES_ALONE";
/** EPERM */
const noPermission = 1;
const externalReason =
  "another process applies them (--rules external). Let it apply those of the new policy, and restart the proxy";
