/** The composition root: credentials, listeners, rules, in the order that never lets traffic pass in clear. */
import type { TLSOptions } from "bun";

import { Ledger } from "./accounting/ledger.ts";
import { Metrics } from "./accounting/metrics.ts";
import { measureProcess } from "./accounting/process-metrics.ts";
import { serveStatus } from "./admin/server.ts";
import { descriptorReserve, type Config, type Limits } from "./config.ts";
import type { Context } from "./context.ts";
import { ProxyError } from "./errors.ts";
import type { Credentials } from "./identity/source.ts";
import { CredentialStore } from "./identity/store.ts";
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
  /** Reads the credentials' files now. */
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
  const rotation = new Rotation(config, log, metrics);
  const credentials = rotation.store.current;
  const limits = { ...config.limits, connectionsMax: boundOf(config.limits) };
  const ledger = new Ledger({ log, metrics, now: () => performance.now() });
  const context = contextOf(config, rotation, { ledger, limits });
  const state = new State(rotation, metrics);
  using undo = new DisposableStack();
  undo.defer(() => {
    ledger.terminateAll();
  });
  undo.defer(() => {
    rotation.store.stop();
  });
  undo.defer(measureProcess(metrics));
  if (limits.idleMsMax !== null) undo.defer(watchIdle(ledger, limits.idleMsMax));
  startStatus(config, context, state, undo);
  const tls = terminatingOptions(config, credentials);
  state.listeners = takenBy(config, () => startListeners({ config, context, log, tls }, undo));
  rotation.listeners = state.listeners;
  const rules = install(config.interception);
  using unlessWatched = new DisposableStack();
  unlessWatched.defer(rules.remove);
  state.watch = watchRules(rules, log, undo);
  unlessWatched.move();
  warnOfBound(limits.connectionsMax, config.limits.connectionsMax, log);
  const { certificate } = config.credentials;
  log.write("I", "credentials", `${certificate}, valid until ${iso(credentials.notAfter)}`);
  const stack = undo.move();
  return {
    connections: () => ledger.size,
    reload: () => {
      rotation.store.reload();
    },
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

/** New credentials on their way to listeners and dials. A connection keeps those that it was made with. */
class Rotation {
  readonly store: CredentialStore;
  listeners: readonly Listener[] = [];
  #dialing: TLSOptions;

  /** Throws CREDENTIALS_INVALID. */
  constructor(config: Config, log: Log, metrics: Metrics) {
    const reloads = metrics.counter("credential_reloads_total", "credentials read anew", "result", [
      "replaced",
      "kept",
    ]);
    this.store = new CredentialStore({
      files: config.credentials,
      replaced: (credentials) => {
        const tls = terminatingOptions(config, credentials);
        takenBy(config, () => {
          for (const listener of this.listeners) listener.renew(tls);
        });
        this.#dialing = dialingOptions(config, credentials);
        reloads("replaced");
        log.write("I", "credentials", `replaced, valid until ${iso(credentials.notAfter)}`);
      },
      kept: (reason) => {
        reloads("kept");
        log.write("W", "credentials", `the old ones stay in use: ${reason}`);
      },
    });
    this.#dialing = dialingOptions(config, this.store.current);
  }

  readonly dialing = (): TLSOptions => this.#dialing;
}

/** Says which files the TLS library has refused. */
function takenBy<T>({ credentials }: Config, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== "CREDENTIALS_INVALID") throw error;
    const files = `--cert ${credentials.certificate}, --key ${credentials.key}`;
    throw new ProxyError("CREDENTIALS_INVALID", `${files}: ${error.message}`, { cause: error });
  }
}

/** What readiness and metrics look at. */
class State {
  readonly readiness = new Readiness();
  readonly metrics: Metrics;
  listeners: readonly Listener[] = [];
  watch: RuleWatch | null = null;
  draining = false;

  constructor({ store }: Rotation, metrics: Metrics) {
    const notAfter = (): number => store.current.notAfter;
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
  { dialing, store }: Rotation,
  { ledger, limits }: { readonly ledger: Ledger; readonly limits: Limits },
): Context {
  const gate = new HandshakeGate(limits.handshakesMax, limits.handshakeLeaseMsMax);
  const { keepAliveMsMax, userTimeoutMsMax } = limits;
  const form = { mark: ownMark(config), keepAliveMsMax, userTimeoutMsMax };
  const { client, server } = expectationsOf(config, store.current);
  const originator = { tls: dialing, form, limits, gate, expect: server };
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

function terminatingOptions(config: Config, credentials: Credentials): TLSOptions {
  return { ...tlsOptions(config, credentials), requestCert: true, rejectUnauthorized: true };
}

/** The server is judged after the handshake, by our own rules: tls/verify.ts. */
function dialingOptions(config: Config, credentials: Credentials): TLSOptions {
  return { ...tlsOptions(config, credentials), rejectUnauthorized: false };
}

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

const renew = "renew it, the proxy reads it by itself";
const rulesChanged =
  "the rules are no longer as they were written (nft list table inet tls-tproxy; ip rule): restart the proxy, " +
  "which writes them anew";
