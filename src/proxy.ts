/** The composition root: credentials, listeners, rules, in the order that never lets traffic pass in clear. */
import { Ledger } from "./accounting/ledger.ts";
import { Metrics } from "./accounting/metrics.ts";
import { measureProcess } from "./accounting/process-metrics.ts";
import { serveStatus } from "./admin/server.ts";
import { descriptorReserve, type Config, type Limits } from "./config.ts";
import type { Context } from "./context.ts";
import { ProxyError } from "./errors.ts";
import { takenBy, type Generation } from "./generation/generation.ts";
import { Reloading } from "./generation/reloading.ts";
import { install, type Installed } from "./intercept/install.ts";
import { RuleWatch } from "./intercept/watch.ts";
import { watchAges } from "./lifecycle/age.ts";
import { drain, type DrainEnd } from "./lifecycle/drain.ts";
import { watchIdle } from "./lifecycle/idle.ts";
import { trimWhenIdle } from "./lifecycle/trim.ts";
import { Readiness } from "./lifecycle/readiness.ts";
import type { Log } from "./log/log.ts";
import { descriptorsMax } from "./native/limits.ts";
import { formatSocketAddress } from "./net/address.ts";
import type { Listener } from "./net/listener.ts";
import type { OriginalDestination } from "./net/original-destination.ts";
import { connectionsBound } from "./policy/admission.ts";
import { interceptionOf } from "./policy/interception.ts";
import { named, startListeners } from "./serving.ts";
import { HandshakeGate } from "./tls/handshake-gate.ts";

export type Proxy = {
  readonly connections: () => number;
  /** Reads the files of credentials and policy now. */
  readonly reload: () => void;
  /** Serves on, live connections and new ones, until none is left, its time is up or `forced` resolves. */
  readonly drain: (forced: Promise<unknown>) => Promise<DrainEnd>;
  /** Ends what is live by RST and closes the listeners. Rules that do not go reset from now on. */
  readonly stop: (how: { readonly removeRules: boolean }) => void;
};

/**
 * Starts everything: listeners stand before the first rule, so that what the kernel diverts is accepted from
 * the first packet on. Throws ProxyError naming the flag; then everything is as it was found.
 */
export function startProxy(config: Config, log: Log): Proxy {
  const metrics = new Metrics();
  using undo = new DisposableStack();
  const reloading = new Reloading(config, log, metrics);
  undo.defer(reloading.stop);
  const { generation } = reloading;
  const limits = { ...config.limits, connectionsMax: boundOf(config.limits) };
  const ledger = new Ledger({
    log,
    metrics,
    now: () => performance.now(),
    ownNotAfter: () => generation.credentials.notAfter,
  });
  const context = contextOf(config, generation, { ledger, limits });
  const state = new State(generation, metrics);
  undo.defer(() => {
    ledger.terminateAll();
  });
  undo.defer(measureProcess(metrics));
  undo.defer(watchLives(ledger, limits));
  startStatus(config, context, state, undo);
  state.listeners = takenBy(config, () => startListeners({ config, context, log }, undo));
  generation.listeners = state.listeners;
  const rules = install(interceptionOf(generation.rules.policy, config.fixed));
  using unlessWatched = new DisposableStack();
  unlessWatched.defer(rules.remove);
  const watch = watchRules(rules, log, undo);
  state.watch = watch;
  unlessWatched.move();
  const { fixed } = config;
  const { ending } = reloading;
  reloading.changing = { generation, ledger, installed: rules, watch, fixed, ending };
  warnOfBound(limits.connectionsMax, config.limits.connectionsMax, log);
  reloading.introduce();
  const stack = undo.move();
  return {
    connections: () => ledger.size,
    reload: reloading.reload,
    drain: async (forced) => {
      state.draining = true;
      return await drain(ledger, limits.drainMsMax, forced);
    },
    stop: ({ removeRules }) => {
      reloading.stop();
      watch.stop();
      if (!removeRules) closeRules(rules, log);
      // Not before the last diverted socket is gone: its application would go on in clear.
      stack.dispose();
      if (removeRules) rules.remove();
    },
  };
}

/** What readiness and metrics look at. */
class State {
  readonly readiness = new Readiness();
  readonly metrics: Metrics;
  listeners: readonly Listener[] = [];
  watch: RuleWatch | null = null;
  draining = false;

  constructor(generation: Generation, metrics: Metrics) {
    const notAfter = (): number => generation.credentials.notAfter;
    this.metrics = metrics;
    metrics.gauge(
      "identity_cert_expiration_timestamp_seconds",
      "when the certificate expires",
      () => notAfter() / 1000,
    );
    metrics.gauge("rules_intact", "1 if the rules stand as they were written", () =>
      Number(this.watch?.intact ?? false),
    );
    for (const condition of [
      () => (this.draining ? "draining: the proxy has been told to end" : null),
      () =>
        Date.now() > notAfter() ? `certificate has expired at ${iso(notAfter())}: ${renew}` : null,
      () => this.#listening(),
      () => this.#ruled(),
    ])
      this.readiness.require(condition);
  }

  #listening(): string | null {
    if (this.listeners.length === 0) return "listeners not in place";
    return this.listeners.every((listener) => listener.alive()) ? null : "a listener is gone";
  }

  #ruled(): string | null {
    if (this.watch === null) return "rules not in place";
    return this.watch.intact ? null : rulesChanged;
  }
}

function startStatus(
  config: Config,
  context: Context,
  { readiness, metrics }: State,
  undo: DisposableStack,
): void {
  const { statusAddress } = config;
  const server = named(`--status-address ${formatSocketAddress(statusAddress)}`, () =>
    serveStatus({
      address: statusAddress,
      form: context.form,
      readiness: () => readiness.reasons,
      metrics: async () => ({
        status: 200,
        type: metrics.contentType,
        body: await metrics.text(),
      }),
    }),
  );
  undo.defer(server.stop);
}

function watchRules(rules: Installed, log: Log, undo: DisposableStack): RuleWatch {
  const watch = new RuleWatch(rules.plan(), (intact) => {
    if (intact) log.write("I", "rules", "the rules stand as they were written again");
    else log.write("W", "rules", rulesChanged);
  });
  undo.defer(() => {
    watch.stop();
  });
  return watch;
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

/** Throws START_FAILED where the descriptors do not do for one connection. */
function boundOf(limits: Limits): number {
  const descriptors = descriptorsMax();
  const bound = connectionsBound(limits.connectionsMax, descriptors, descriptorReserve);
  if (bound > 0) return bound;
  const text = `only ${descriptors} descriptors are allowed: raise the limit (ulimit -n, LimitNOFILE=)`;
  throw new ProxyError("START_FAILED", text);
}

function warnOfBound(bound: number, wanted: number, log: Log): void {
  if (bound === wanted) return;
  const text = `${bound} connections at most, not ${wanted} (--connections)`;
  log.write("I", "proxy", `${text}: ${descriptorsMax()} descriptors are allowed (ulimit -n)`);
}

function contextOf(
  config: Config,
  generation: Generation,
  { ledger, limits }: { readonly ledger: Ledger; readonly limits: Limits },
): Context {
  const gate = new HandshakeGate(limits.handshakesMax, limits.handshakeLeaseMsMax);
  const { keepAliveMsMax, userTimeoutMsMax } = limits;
  const form = { mark: ownMark(config), keepAliveMsMax, userTimeoutMsMax };
  const originator = {
    tls: () => generation.dialing,
    form,
    limits,
    gate,
    expect: (original: OriginalDestination) => generation.rules.server(original),
  };
  return {
    ledger,
    limits,
    form,
    originator,
    rules: () => generation.rules,
    terminating: () => generation.terminating,
  };
}

/** Ends connections that are idle or old, and gives memory back when nothing happens. Returns what ends that. */
function watchLives(ledger: Ledger, limits: Limits): () => void {
  const watches = [watchAges(ledger, limits), trimWhenIdle(ledger)];
  if (limits.idleMsMax !== null) watches.push(watchIdle(ledger, limits.idleMsMax));
  return () => {
    for (const stop of watches) stop();
  };
}

/** Never intercepted: intercept/plan.ts. */
function ownMark(config: Config): number {
  const { value, mask } = config.fixed.mark;
  return value ^ mask;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

const renew = "renew it, the proxy reads it by itself";
const rulesChanged =
  "the rules are no longer as they were written (nft list table inet tls-tproxy; ip rule): restart the proxy, " +
  "which writes them anew";
