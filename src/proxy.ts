/** The composition root: credentials, listeners, rules, in the order that never lets traffic pass in clear. */
import type { TLSOptions } from "bun";

import { Ledger } from "./accounting/ledger.ts";
import { Metrics } from "./accounting/metrics.ts";
import { measureProcess } from "./accounting/process-metrics.ts";
import { serveStatus } from "./admin/server.ts";
import { descriptorReserve, type Config, type Limits } from "./config.ts";
import type { Context } from "./context.ts";
import { ProxyError } from "./errors.ts";
import { loadCredentials, type Credentials } from "./identity/source.ts";
import { trustDomainOf } from "./identity/spiffe-id.ts";
import { install, type Installed } from "./intercept/install.ts";
import { RuleWatch } from "./intercept/watch.ts";
import { drain, type DrainEnd } from "./lifecycle/drain.ts";
import { watchIdle } from "./lifecycle/idle.ts";
import { Readiness } from "./lifecycle/readiness.ts";
import type { Log } from "./log/log.ts";
import { descriptorsMax } from "./native/limits.ts";
import { formatSocketAddress } from "./net/address.ts";
import type { Listener } from "./net/listener.ts";
import type { OriginalDestination } from "./net/original-destination.ts";
import { connectionsBound } from "./policy/admission.ts";
import { named, startListeners } from "./serving.ts";
import { HandshakeGate } from "./tls/handshake-gate.ts";
import type { Expectation } from "./tls/verify.ts";

export type Proxy = {
  readonly connections: () => number;
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
  const credentials = loadCredentials(config.credentials, Date.now());
  const limits = { ...config.limits, connectionsMax: boundOf(config.limits) };
  const metrics = new Metrics();
  const ledger = new Ledger({ log, metrics, now: () => performance.now() });
  const context = contextOf(config, credentials, { ledger, limits });
  const state = new State(credentials, metrics);
  using undo = new DisposableStack();
  undo.defer(() => {
    ledger.terminateAll();
  });
  undo.defer(measureProcess(metrics));
  if (limits.idleMsMax !== null) undo.defer(watchIdle(ledger, limits.idleMsMax));
  startStatus(config, context, state, undo);
  const tls: TLSOptions = {
    ...tlsOptions(config, credentials),
    requestCert: true,
    rejectUnauthorized: true,
  };
  state.listeners = startListeners({ config, context, log, tls }, undo);
  const rules = install(config.interception);
  using unlessWatched = new DisposableStack();
  unlessWatched.defer(rules.remove);
  state.watch = watchRules(rules, log, undo);
  unlessWatched.move();
  warnOfBound(limits.connectionsMax, config.limits.connectionsMax, log);
  const stack = undo.move();
  return {
    connections: () => ledger.size,
    drain: async (forced) => {
      state.draining = true;
      return await drain(ledger, limits.drainMsMax, forced);
    },
    stop: ({ removeRules }) => {
      state.watch?.stop();
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

  constructor(credentials: Credentials, metrics: Metrics) {
    const { notAfter } = credentials;
    this.metrics = metrics;
    metrics.gauge(
      "identity_cert_expiration_timestamp_seconds",
      "when the certificate expires",
      () => notAfter / 1000,
    );
    metrics.gauge("rules_intact", "1 if the rules stand as they were written", () =>
      Number(this.watch?.intact ?? false),
    );
    for (const condition of [
      () => (this.draining ? "draining: the proxy has been told to end" : null),
      () =>
        Date.now() > notAfter ? `certificate has expired at ${iso(notAfter)}: ${renew}` : null,
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
  const watch = new RuleWatch(rules.plan, (intact) => {
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
  credentials: Credentials,
  { ledger, limits }: { readonly ledger: Ledger; readonly limits: Limits },
): Context {
  const gate = new HandshakeGate(limits.handshakesMax, limits.handshakeLeaseMsMax);
  const { keepAliveMsMax, userTimeoutMsMax } = limits;
  const form = { mark: ownMark(config), keepAliveMsMax, userTimeoutMsMax };
  const tls: TLSOptions = { ...tlsOptions(config, credentials), rejectUnauthorized: false };
  const { client, server } = expectationsOf(config, credentials);
  const originator = { tls, form, limits, gate, expect: server };
  return { ledger, limits, form, expectClient: client, originator };
}

type Expectations = {
  readonly client: Expectation;
  readonly server: (original: OriginalDestination) => Expectation;
};

/** Throws START_FAILED without a trust domain, given or our own. */
function expectationsOf({ verification }: Config, { identity }: Credentials): Expectations {
  if (verification.kind === "ip")
    return {
      client: { kind: "anybody" },
      server: (address) => ({ kind: "address", address }),
    };
  const own = identity.spiffeId === null ? null : trustDomainOf(identity.spiffeId);
  const trustDomain = verification.trustDomain ?? own;
  if (trustDomain === null) {
    const text =
      "--verify spiffe: the certificate (--cert) has no SPIFFE ID; say whose peers to trust by --trust-domain";
    throw new ProxyError("START_FAILED", text);
  }
  const workload = { kind: "workload", trustDomain } as const;
  return { client: workload, server: () => workload };
}

/** `rejectUnauthorized` comes with the direction: a client is judged after the handshake (tls/verify.ts). */
function tlsOptions(config: Config, credentials: Credentials): TLSOptions {
  return {
    cert: credentials.certificatePem,
    key: credentials.keyPem,
    ca: credentials.trustBundlePem,
    minVersion: config.tlsVersionMin === "1.3" ? 0x03_04 : 0x03_03,
  };
}

/** Never intercepted: intercept/plan.ts. */
function ownMark(config: Config): number {
  const { value, mask } = config.interception.mark;
  return value ^ mask;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

const renew = "renew it and restart the proxy";
const rulesChanged =
  "the rules are no longer as they were written (nft list table inet tls-tproxy; ip rule): restart the proxy, " +
  "which writes them anew";
