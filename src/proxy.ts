/** The composition root: credentials, listeners, rules, in the order that never lets traffic pass in clear. */
import type { TLSOptions } from "bun";

import { Ledger } from "./accounting/ledger.ts";
import { serveStatus } from "./admin/server.ts";
import type { Config } from "./config.ts";
import type { Context } from "./context.ts";
import { ProxyError } from "./errors.ts";
import { loadCredentials, type Credentials } from "./identity/source.ts";
import { serveInbound } from "./inbound.ts";
import { install } from "./intercept/install.ts";
import type { Log } from "./log.ts";
import { errnoName, SystemCallError } from "./native/errno.ts";
import { formatSocketAddress, parseSocketAddress } from "./net/address.ts";
import { listen, type Intercepted } from "./net/listener.ts";
import { serveOutbound } from "./outbound.ts";
import { HandshakeGate } from "./tls/handshake-gate.ts";

export type Proxy = {
  /** Ends what is live by RST, closes the listeners, and removes the rules if the configuration says so. */
  readonly stop: () => void;
};

/**
 * Starts everything: listeners stand before the first rule, so that what the kernel diverts is accepted from
 * the first packet on. Throws ProxyError naming the flag; then everything is as it was found.
 */
export function startProxy(config: Config, log: Log): Proxy {
  const credentials = loadCredentials(config.credentials, Date.now());
  const context = contextOf(config, credentials, log);
  const missing = new Set(["listeners", "rules"]);
  using undo = new DisposableStack();
  undo.defer(() => {
    context.ledger.terminateAll();
  });
  startStatus(config, missing, undo);
  startListeners(config, credentials, context, { log, undo });
  missing.delete("listeners");
  const rules = install(config.interception);
  missing.delete("rules");
  const stack = undo.move();
  return {
    stop: () => {
      // Not before the last diverted socket is gone: its application would go on in clear.
      stack.dispose();
      if (config.removeRulesOnExit) rules.remove();
    },
  };
}

type Starting = { readonly log: Log; readonly undo: DisposableStack };

function startStatus(config: Config, missing: ReadonlySet<string>, undo: DisposableStack): void {
  const mark = ownMark(config);
  const readiness = (): readonly string[] => [...missing].map((name) => `${name} not in place`);
  const server = named(`--status-address ${formatSocketAddress(config.statusAddress)}`, () =>
    serveStatus({ address: config.statusAddress, mark, readiness }),
  );
  undo.defer(server.stop);
}

function startListeners(
  config: Config,
  credentials: Credentials,
  context: Context,
  starting: Starting,
): void {
  const { tcpPort, tlsPort } = config.interception;
  const terminating: TLSOptions = {
    ...tlsOptions(config, credentials),
    requestCert: true,
    rejectUnauthorized: true,
  };
  for (const host of ["127.0.0.1", "[::1]"]) {
    const start = (flag: string, port: number, serve: Serve, tls: TLSOptions | null): void => {
      const address = parseSocketAddress(`${host}:${port}`);
      const accept = (intercepted: Intercepted): void => {
        void serve(intercepted, context).catch((error: unknown) => {
          starting.log.write("E", "proxy", `internal error: ${describeBug(error)}`);
        });
      };
      const options = { address, mark: context.mark, backlogMax: config.limits.backlogMax };
      const listener = named(`${flag} ${port} on ${host}`, () =>
        unlessNoIpv6(host, () => listen({ ...options, tls, accept })),
      );
      if (listener !== null) starting.undo.defer(listener.stop);
    };
    start("--tcp-port", tcpPort, serveOutbound, null);
    start("--tls-port", tlsPort, serveInbound, terminating);
  }
}

type Serve = (intercepted: Intercepted, context: Context) => Promise<void>;

function contextOf(config: Config, credentials: Credentials, log: Log): Context {
  const { limits } = config;
  const gate = new HandshakeGate(limits.handshakesMax, limits.handshakeLeaseMsMax);
  const mark = ownMark(config);
  const ledger = new Ledger(log, () => performance.now());
  const tls: TLSOptions = { ...tlsOptions(config, credentials), rejectUnauthorized: false };
  return { ledger, limits, mark, originator: { tls, mark, limits, gate } };
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

/** Says which option a failure belongs to, and what to do. */
function named<T>(option: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const code = codeOf(error);
    const remedy = remedies.get(code);
    if (code === "") throw error;
    const text = `cannot listen (${option}): ${code}${remedy === undefined ? "" : `. ${remedy}`}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

function codeOf(error: unknown): string {
  if (error instanceof SystemCallError) return errnoName(error.errno);
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** Null where the kernel has no IPv6: there is nothing to divert then. */
function unlessNoIpv6<T>(host: string, act: () => T): T | null {
  try {
    return act();
  } catch (error) {
    const absent = error instanceof SystemCallError && errnoName(error.errno) === "EAFNOSUPPORT";
    if (absent && host === "[::1]") return null;
    throw error;
  }
}

function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

const remedies = new Map<string, string>([
  [
    "EADDRINUSE",
    "Another process listens there: choose another port, or end it (is a proxy running?).",
  ],
  ["EPERM", "CAP_NET_ADMIN is missing: run as root or give the container that capability."],
  ["EACCES", "Ports below 1024 want CAP_NET_BIND_SERVICE."],
]);
