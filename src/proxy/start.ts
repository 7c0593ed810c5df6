/** The composition root: credentials, listeners, rules, in the order that never lets traffic pass in clear. */
import type { TLSOptions } from "bun";

import type { ConnectionRegistry } from "../connection/registry.ts";
import { Metrics } from "../connection/metrics.ts";
import { measureProcess } from "../status/process-metrics.ts";
import { serveStatus } from "../status/server.ts";
import { descriptorReserve, type Config, type Limits } from "../config.ts";
import { type Fixed, type Interception, interceptionOf } from "../intercept/rules/interception.ts";
import { makeContext, type Context } from "../context.ts";
import { ProxyError } from "../runtime/errors.ts";
import { isDiverted } from "../intercept/cleartext/becomes-diverted.ts";
import { orNamingFiles, type InForce } from "../reload/in-force.ts";
import { Reloader } from "../reload/reload.ts";
import {
  openSockets,
  giveUpPrivileges,
  reportDiversion,
  settling,
  standingRules,
  type StandingRules,
  type Sockets,
} from "./rules.ts";
import type { HandedState } from "./reexec.ts";
import type { Credentials } from "../identity/source.ts";
import { resetCleartext } from "../intercept/cleartext/reset.ts";
import type { Installed } from "../intercept/kernel/install.ts";
import type { RepairLink } from "../intercept/repair/link.ts";
import { RuleRepair } from "../intercept/repair/repair.ts";
import { ownMark } from "../intercept/rules/marks.ts";
import { listeningPorts, type Tuple } from "../intercept/kernel/open-before.ts";
import { unpackTuples } from "../intercept/cleartext/preexisting.ts";
import type { RuleWatch } from "../intercept/kernel/watch.ts";
import { watchAges } from "../connection/age.ts";
import { readTracked, watchTracked } from "../status/conntrack.ts";
import { drain, type DrainEnd } from "../connection/drain.ts";
import { watchIdle } from "../connection/idle.ts";
import { PreexistingWatch } from "../intercept/cleartext/report.ts";
import { Memory } from "../connection/memory.ts";
import { repairEvents, repairProcessGone } from "../intercept/repair/events.ts";
import { trimWhenIdle } from "./trim.ts";
import { Conditions } from "../status/readiness.ts";
import type { Log } from "../runtime/log/log.ts";
import { seldom } from "../runtime/log/seldom.ts";
import type { RepairProcess } from "../native/repair-process.ts";
import { descriptorsMax } from "../native/limits.ts";
import { openHiddenHierarchies } from "../native/memory-limit.ts";
import type { Listener } from "../net/listener.ts";
import { socketOptionsOf, type SocketOptions } from "../net/socket-options.ts";
import {
  noWirePorts,
  openWirePorts,
  planWirePorts,
  reservedText,
  type WirePorts,
} from "../net/wire-ports.ts";
import { connectionsBound } from "../connection/admission.ts";
import { isSource, type Probes } from "../probe/probe.ts";
import { startListeners } from "./serve.ts";

export type Proxy = {
  readonly connections: () => number;
  /** Reads the files of credentials and policy now. */
  readonly reload: () => void;
  /** Serves on, live connections and new ones, until none is left, its time is up or `forced` resolves. */
  readonly drain: (forced: Promise<unknown>) => Promise<DrainEnd>;
  /** Ends what is live by RST and closes the listeners. Rules that do not go reset from now on. */
  readonly stop: (how: { readonly removeRules: boolean }) => void;
};

export type Given = {
  /** What this process has opened before it gave up its privileges. */
  readonly handed: HandedState | null;
  /** The keeper of the rules, where it is about to give them up. */
  readonly repairProcess: RepairProcess | null;
  /** Those that were judged good. */
  readonly credentials: Credentials;
};

/**
 * Starts everything: listeners stand before the first rule, so that what the kernel diverts is accepted from
 * the first packet on. Throws ProxyError naming the flag; then everything is as it was found.
 */
export function startProxy(config: Config, log: Log, given: Given): Proxy {
  const { handed, repairProcess: process, credentials } = given;
  const metrics = new Metrics(config.metricsNames);
  using undo = new DisposableStack();
  const reloading = new Reloader(config, credentials, { log, metrics });
  undo.defer(reloading.stop);
  const { inForce } = reloading;
  const { wire, limits } = boundsOf(config, undo);
  const socketOptions = socketOptionsOf(limits, ownMark(config.fixed.mark));
  const state = new State(inForce, metrics);
  const [{ standing }, ports] = [state, wire.rotation];
  const memory = new Memory(limits, log, handed?.groups ?? openHiddenHierarchies());
  const surroundings = { log, metrics, limits, memory, socketOptions, standing, ports };
  const context = makeContext(config, inForce, surroundings);
  const { registry } = context;
  undo.defer(endingAll(context));
  const interception = interceptionOf(inForce.rules.policy, config.fixed);
  const settle = settling(config, { inForce, log });
  const { groups } = memory;
  const foundation = { config, socketOptions, tls: context.terminating, settle, groups, process };
  const sockets = socketsOf(foundation, interception, handed);
  undo.defer(measureSurroundings(log, metrics));
  undo.defer(watchLives(context, memory));
  undo.defer(startStatus(sockets.status, state, { probes: config.fixed.probes, log }));
  const places = new Map(sockets.places);
  state.listeners = orNamingFiles(config, () =>
    startListeners({ config, context, log }, places, undo),
  );
  inForce.listeners = state.listeners;
  const ground = standingRules(
    config,
    interception,
    handed,
    repairEvents(log, () => keeper),
  );
  const { rules } = ground;
  using unlessWatched = new DisposableStack();
  unlessWatched.defer(() => {
    if (rules.isRemovable) rules.remove();
  });
  state.watchPreexisting(handed === null ? settle(rules) : unpackTuples(handed.preexisting));
  const keeper = keepRules(ground, { log, metrics, registry, inForce, fixed: config.fixed }, () =>
    isDiverted(inForce.rules, config.fixed, listeningPorts()),
  );
  undo.defer(keeper.stop);
  undo.defer(state.keeps(ground.repairProcess));
  state.watch = keeper.watch;
  unlessWatched.move();
  const [{ ending }, { fixed }] = [reloading, config];
  reloading.changing = { inForce, registry, installed: rules, watch: keeper.watch, fixed, ending };
  tellOfBounds({ wire, limits, memory }, config, log);
  reloading.introduce();
  return proxyOf({ registry, limits, state, reloading, keeper, rules, log }, undo.move());
}

type Parts = {
  readonly registry: ConnectionRegistry;
  readonly limits: Limits;
  readonly state: State;
  readonly reloading: Reloader;
  readonly keeper: RuleRepair;
  readonly rules: Installed;
  readonly log: Log;
};

function proxyOf(
  { registry, limits, state, reloading, keeper, rules, log }: Parts,
  stack: DisposableStack,
): Proxy {
  return {
    connections: () => registry.size,
    reload: reloading.reload,
    drain: async (forced) => {
      state.draining = true;
      return await drain(registry, limits.drainMsMax, forced);
    },
    stop: ({ removeRules }) => {
      reloading.stop();
      keeper.stop();
      if (!removeRules && rules.isOurs) closeRules(rules, log);
      // Not before the last diverted socket is gone: its application would go on in clear.
      stack.dispose();
      if (removeRules) rules.remove();
    },
  };
}

function endingAll({ source, registry }: Context): () => void {
  return () => {
    source.silent.stop();
    registry.terminateAll();
  };
}

type Standing = {
  readonly config: Config;
  readonly socketOptions: SocketOptions;
  readonly tls: () => TLSOptions;
  readonly settle: (installed: Installed) => readonly Tuple[];
  readonly groups: HandedState["groups"];
  readonly process: RepairProcess | null;
};

/** Those that were handed over, or new ones; where privileges are to be dropped, it ends here and re-executes. */
function socketsOf(
  { config, socketOptions, tls, settle, groups, process }: Standing,
  interception: Interception,
  handed: HandedState | null,
): Sockets {
  if (handed !== null) return handed;
  using undo = new DisposableStack();
  const sockets = openSockets(config, socketOptions, undo);
  if (config.privileges === "dropped") {
    const { command } = config;
    orNamingFiles(config, () =>
      giveUpPrivileges(interception, sockets, {
        tls: tls(),
        command,
        settle,
        groups,
        repairProcess: process,
      }),
    );
  }
  undo.move();
  return sockets;
}

/** What readiness and metrics look at. */
class State {
  readonly readiness = new Conditions();
  readonly metrics: Metrics;
  listeners: readonly Listener[] = [];
  watch: RuleWatch | null = null;
  preexisting = new PreexistingWatch([]);
  draining = false;
  #keeper: RepairLink | null = null;
  /** Whether applications' answers to clients come to us; they do before that is watched. */
  readonly standing = (of: 4 | 6): boolean => this.watch?.returnsToProxy(of) ?? true;

  constructor(inForce: InForce, metrics: Metrics) {
    const notAfter = (): number => inForce.credentials.notAfter;
    this.metrics = metrics;
    metrics.gauge(
      "tproxy_identity_cert_expiration_timestamp_seconds",
      "when the certificate expires",
      () => notAfter() / 1000,
    );
    const help = "connections from before the start that are still open in cleartext";
    metrics.gauge("tproxy_preexisting_cleartext_connections", help, () => this.preexisting.count);
    metrics.gauge("tproxy_rules_intact", "1 if the rules are as the proxy wrote them", () =>
      Number(this.watch?.intact ?? false),
    );
    for (const condition of [
      () => (this.draining ? "draining: the proxy received a signal to end" : null),
      () =>
        Date.now() > notAfter() ? `certificate has expired at ${iso(notAfter())}: ${renew}` : null,
      () => this.#listening(),
      () => this.#ruled(),
    ])
      this.readiness.require(condition);
  }

  watchPreexisting(left: readonly Tuple[]): void {
    this.preexisting = new PreexistingWatch(left);
  }

  /** What /readyz says besides, ready or not. */
  get notes(): readonly string[] {
    const keeper = this.#keeper === null || this.#keeper.alive ? null : repairProcessGone;
    return [this.preexisting.note, keeper].filter((note) => note !== null);
  }

  /** The process that restores the rules in this one's place, if there is one. Returns what ends it. */
  keeps(keeper: RepairLink | null): () => void {
    this.#keeper = keeper;
    if (keeper === null) return () => undefined;
    const help = "1 while the repair process lives";
    this.metrics.gauge("tproxy_repair_process_alive", help, () => Number(keeper.alive));
    return keeper.stop;
  }

  #listening(): string | null {
    if (this.listeners.length === 0) return "listeners not in place";
    return this.listeners.every((listener) => listener.alive()) ? null : "a listener is gone";
  }

  #ruled(): string | null {
    if (this.watch === null) return "rules not in place";
    return this.watch.intact ? null : `${rulesChanged}: ${restart}`;
  }
}

/** Returns what ends it. */
function startStatus(
  fd: number,
  state: State,
  { probes, log }: { readonly probes: Probes; readonly log: Log },
): () => void {
  const { readiness, metrics } = state;
  const warn = seldom((source: string) => {
    log.write("W", "status", `too many requests, the last one from ${source}: ${tooMany}`);
  });
  const server = serveStatus({
    fd,
    readiness: () => readiness.reasons,
    notes: () => state.notes,
    metrics: async () => ({
      status: 200,
      type: metrics.contentType,
      body: await metrics.text(),
    }),
    isProbeSource: (address) => isSource(probes, address),
    refused: (source) => {
      warn(source);
    },
  });
  return server.stop;
}

type Keeping = {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly registry: ConnectionRegistry;
  readonly inForce: InForce;
  readonly fixed: Fixed;
};

/** Throws SystemCallError. `clear` tells the connections that are not to be in clear. */
function keepRules(
  { rules, view }: StandingRules,
  { log, metrics, registry, inForce, fixed }: Keeping,
  clear: () => (tuple: Tuple) => boolean,
): RuleRepair {
  const keeper = new RuleRepair(rules, view, {
    changed: () => {
      // What applications answer to clients would leave in clear.
      const ended = registry.terminateWhere(
        "RULES_CHANGED",
        ({ as }) => as !== null && !keeper.watch.returnsToProxy(as.family),
      );
      const too =
        ended === 0 ? "" : `; ${ended} inbound connections that depend on them were reset`;
      log.write("W", "rules", rulesChanged + too + (rules.isOurs ? "" : `: ${restart}`));
    },
    repaired: (kept) => {
      const { ended, refusal } = resetCleartext(clear, kept, { kernel: rules.sockets });
      const text = "the rules were restored: another program had changed them";
      const too =
        ended === 0 ? "" : `, and ${ended} connections that had started in cleartext were reset`;
      log.write("I", "rules", text + too, { reset_clear: ended });
      if (refusal !== null)
        log.write(
          "W",
          "rules",
          `connections that started in cleartext cannot be reset: ${refusal}`,
        );
      // Whoever has changed ours may have changed others', and taken away the table that veils from these.
      reportDiversion(rules, fixed, { inForce, log });
    },
    failed: (reason) => {
      log.write("E", "rules", `the rules cannot be restored: ${reason}`);
    },
    leftOut: (devices) => {
      log.write("W", "rules", `sockets bound to ${devices} (SO_BINDTODEVICE) ${notCarried}`);
    },
  });
  const help = "times that the rules were restored because another program had changed them";
  metrics.total("tproxy_rules_repairs_total", help, () => keeper.repairs);
  return keeper;
}

/** A kernel that cannot reset goes on dropping: as safe, only slower to be noticed. */
function closeRules(rules: Installed, log: Log): void {
  try {
    rules.close();
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    log.write(
      "W",
      "rules",
      `what is diverted is dropped, not reset, from now on: ${error.message}`,
    );
  }
}

type Bounds = { readonly wire: WirePorts; readonly limits: Limits };

/** Ports for connections to peers, and limits that the descriptors do for. Throws START_FAILED. */
function boundsOf(config: Config, undo: DisposableStack): Bounds {
  const wire = openWirePorts(planWirePorts(config.wirePorts), descriptorsMax() / reservingShare);
  undo.defer(wire.close);
  const connectionsMax = boundOf(config.limits, wire.reserved);
  return { wire, limits: { ...config.limits, connectionsMax } };
}

/** Throws START_FAILED where the descriptors do not do for one connection. */
function boundOf(limits: Limits, reserved: number): number {
  const descriptors = descriptorsMax() - reserved;
  const bound = connectionsBound(limits.connectionsMax, descriptors, descriptorReserve);
  if (bound > 0) return bound;
  const text = `only ${descriptors} descriptors are allowed: raise the limit (ulimit -n, LimitNOFILE=)`;
  throw new ProxyError("START_FAILED", text);
}

function tellOfBounds(
  { wire, limits, memory }: Bounds & { readonly memory: Memory },
  config: Config,
  log: Log,
): void {
  memory.introduce();
  tellOfWirePorts(wire, log);
  const [bound, wanted] = [limits.connectionsMax, config.limits.connectionsMax];
  if (bound === wanted) return;
  const text = `${bound} connections at most, not ${wanted} (--connections)`;
  log.write("I", "proxy", `${text}: ${descriptorsMax()} descriptors are allowed (ulimit -n)`);
}

function tellOfWirePorts({ rotation, reserved }: WirePorts, log: Log): void {
  if (rotation.size === 0) log.write("W", "proxy", noWirePorts);
  else if (reserved > 0) log.write("I", "proxy", reservedText(rotation.size));
}

/** The process, and the kernel's table of connections. Returns what ends that. */
function measureSurroundings(log: Log, metrics: Metrics): () => void {
  const help = "connections that the kernel tracks in this network namespace, and how many it may";
  metrics.gauge("tproxy_conntrack_entries", help, () => readTracked()?.entries ?? 0);
  metrics.gauge("tproxy_conntrack_entries_max", help, () => readTracked()?.max ?? 0);
  const watches = [measureProcess(metrics), watchTracked(log)];
  return () => {
    for (const stop of watches) stop();
  };
}

/** Ends connections that are idle or old, plans with the memory that there is, and gives memory back when nothing happens. Returns what ends that. */
function watchLives({ registry, limits, held }: Context, memory: Memory): () => void {
  const watches = [watchAges(registry, limits), trimWhenIdle(registry)];
  const changed = (): void => {
    held.resize(memory.budget.heldBytesMax);
  };
  watches.push(memory.watch(changed));
  if (limits.idleMsMax !== null) watches.push(watchIdle(registry, limits.idleMsMax));
  return () => {
    for (const stop of watches) stop();
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

const tooMany =
  "they are reset (--status-address). Keep strangers from this port, and name the kubelet's addresses by --probe-source";
/** A part of the descriptors, for reserving ports. */
const reservingShare = 8;
const renew = "renew it, the proxy reads it by itself";
const rulesChanged =
  "the rules are no longer as they were written (nft list table inet tls-tproxy; ip rule)";
const notCarried =
  "connect to no destination in the mesh: the interface came up after the proxy had dropped its privileges. Restart the proxy";
const restart = "restart the proxy, which restores them";
