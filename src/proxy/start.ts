/** The composition root: the order of a start, with its reasons. */
import {
  assertMarkable,
  closedWith,
  namingStatus,
  openSockets,
  UnservedSockets,
} from "./sockets.ts";
import { handleCleartext } from "./cleartext-at-start.ts";
import { type FirstReads, Reloader } from "../reload/reload.ts";
import { assertDescriptors, boundsOf, reportBounds } from "./bounds.ts";
import { renewing, startListeners } from "./serve.ts";
import type { Context } from "../context.ts";
import { connectionsOf, makeContext } from "./make-context.ts";
import { repairRules, closeRules } from "./repairs.ts";
import { watchSurroundings, watchConnections } from "./watches.ts";
import { Drain, type DrainEnd } from "../connection/drain.ts";
import { startStatus } from "./status.ts";

import type { ConnectionRegistry } from "../connection/registry.ts";
import { Metrics } from "../connection/metrics.ts";
import { type Config } from "../config.ts";
import { interceptionOf } from "../intercept/rules/interception.ts";
import { InForce } from "../reload/in-force.ts";
import { standingRules } from "./standing-rules.ts";
import type { HandedState } from "./reexec.ts";
import type { Installed } from "../intercept/kernel/install.ts";
import type { RuleWatch } from "../intercept/kernel/watch.ts";
import { RuleRepair } from "../intercept/repair/repair.ts";
import { ownMark } from "../intercept/rules/marks.ts";
import { unpackTuples } from "../intercept/cleartext/preexisting.ts";
import { PreexistingWatch } from "../intercept/cleartext/report.ts";
import { Memory } from "../connection/memory.ts";
import type { Log } from "../runtime/log/log.ts";
import { openHiddenHierarchies } from "../native/memory-limit.ts";
import { ProxyError } from "../runtime/errors.ts";
import { socketOptionsOf } from "../net/socket-options.ts";

export type Proxy = {
  readonly connections: () => number;
  /** Reads the files of credentials and policy now. */
  readonly reload: () => void;
  /** Serves live and new connections until there are none, the time is up or `forced` resolves. */
  readonly drain: (forced: Promise<unknown>) => Promise<DrainEnd>;
  /** Resets live connections and closes the listeners. Rules that stay reset connections from now on. */
  readonly stop: (how: { readonly removeRules: boolean }) => void;
};

export type Given = {
  /** What this process opened before it dropped its privileges; null if it still has them, or needs none. */
  readonly handed: HandedState | null;
  readonly first: FirstReads;
};

/**
 * Starts everything in one go: no arriving connection is handled before this function has returned. So the order is
 * that in which each object can be made whole, and beyond that only what the kernel sees has a fixed place:
 *
 * 1. Faults of policy, credentials, descriptors and ports are found before anything is changed.
 * 2. Sockets listen before the first rule: diverted connections are accepted from the first packet on.
 * 3. They are served before the first rule, so the TLS library has accepted the credentials.
 * 4. The rules. From now on a failure removes them again, if they are ours.
 * 5. The watch of the rules, and everything that depends on it; the status address; reloading. Files that have changed
 *    since they were read in step 1 are read then.
 * 6. Preexisting connections are settled last: no failure after it could have reset them for nothing. This may write to
 *    the rules, of which their watch is informed. With `--privileges dropped` another process has done all this
 *    (privileges.ts), and passed on what it had opened.
 *
 * Throws ProxyError naming the flag; then everything is as it was found, except rules that another process has put in
 * place (`--privileges dropped`, `--rules external`), which stay.
 */
export function startProxy(config: Config, log: Log, given: Given): Proxy {
  try {
    return start(config, log, given);
  } catch (error) {
    throw withRulesLeft(error);
  }
}

function start(config: Config, log: Log, { handed, first }: Given): Proxy {
  using undo = new DisposableStack();
  const { fixed } = config;
  const metrics = new Metrics(config.metricsNames);
  const inForce = new InForce(config, first.credentials.value, first.policy.value);
  assertAble(handed, ownMark(fixed.mark));
  const bounds = boundsOf(config, undo);
  const { limits, wire } = bounds;
  const memory = new Memory(
    limits,
    log,
    closedWith(undo, handed?.groups ?? openHiddenHierarchies()),
  );
  const socketOptions = socketOptionsOf(limits, ownMark(fixed.mark));
  const sockets = undo.use(new UnservedSockets(handed ?? openSockets(config, socketOptions)));

  const connections = connectionsOf(inForce, { log, metrics });
  const { registry } = connections;
  const context = makeContext(config, inForce, {
    ...connections,
    log,
    metrics,
    limits,
    memory,
    socketOptions,
    ports: wire.rotation,
    standing: (of) => watch.returnsToProxy(of),
  });
  undo.defer(endingAll(context));
  undo.defer(watchSurroundings(log, metrics));
  undo.defer(watchConnections(context, memory));
  const listeners = startListeners({ config, context, log }, sockets, undo);

  const standing = standingRules(config, interceptionOf(inForce.applied.policy, fixed), handed);
  const { rules, restorer } = standing;
  if (restorer !== null) undo.defer(restorer.link.stop);
  using unlessStarted = new DisposableStack();
  unlessStarted.defer(() => {
    if (rules.isRemovable) rules.remove();
  });
  const repair = repairRules(standing, { log, metrics, registry, inForce, fixed });
  undo.defer(repair.stop);
  const { watch } = repair;

  const drain = new Drain(registry, limits.drainMsMax);
  const status = { inForce, listeners, watch, restorer, drain, metrics };
  const { probes } = fixed;
  const statusParts = { ...status, preexisting: () => preexisting, probes, log };
  undo.defer(namingStatus(config, () => startStatus(sockets.takeStatus(), statusParts)));
  const renew = renewing(config, listeners);
  const reach = { inForce, registry, installed: rules, watch, fixed, renew };
  const reloader = new Reloader(config, first, reach, { log, metrics });
  undo.defer(reloader.stop);

  const left =
    handed === null
      ? handleCleartext(informing(rules, watch), config, { inForce, log })
      : unpackTuples(handed.preexisting);
  const preexisting = new PreexistingWatch(left);
  reportBounds({ ...bounds, memory }, config, log);
  reloader.introduce();
  unlessStarted.move();
  return proxyOf({ registry, drain, reloader, repair, rules, log }, undo.move());
}

/** Before anything is changed; after a re-execution, before anything is served. Throws START_FAILED. */
function assertAble(handed: HandedState | null, mark: number): void {
  if (handed === null) assertDescriptors();
  else assertMarkable(mark);
}

/** The watch of the rules must not take our own change for another program's. */
function informing(rules: Installed, watch: RuleWatch): Installed {
  return {
    ...rules,
    forget: (connections) => {
      rules.forget(connections);
      watch.rewritten(rules.plan());
    },
  };
}

/** A start that has failed, and whose rules could not be removed either. */
function withRulesLeft(error: unknown): unknown {
  if (!(error instanceof SuppressedError)) return error;
  const [why, left]: readonly unknown[] = [error.suppressed, error.error];
  if (!(why instanceof ProxyError) || !(left instanceof ProxyError)) return error;
  const text = `${why.message}. The rules stay, because they cannot be removed: ${left.message}. Then run: tls-tproxy rules --remove`;
  return new ProxyError("START_FAILED", text, { cause: error });
}

type Parts = {
  readonly registry: ConnectionRegistry;
  readonly drain: Drain;
  readonly reloader: Reloader;
  readonly repair: RuleRepair;
  readonly rules: Installed;
  readonly log: Log;
};

function proxyOf(
  { registry, drain, reloader, repair, rules, log }: Parts,
  stack: DisposableStack,
): Proxy {
  return {
    connections: () => registry.size,
    reload: reloader.reload,
    drain: async (forced) => await drain.end(forced),
    stop: ({ removeRules }) => {
      reloader.stop();
      repair.stop();
      if (!removeRules && rules.isOurs) closeRules(rules, log);
      // Not before the last diverted socket is closed: its application would continue in cleartext.
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
