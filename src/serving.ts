/** The listeners that diverted connections come to, and who serves them. */
import type { Config } from "./config.ts";
import type { Context } from "./context.ts";
import { ProxyError } from "./errors.ts";
import { serveInbound } from "./inbound.ts";
import type { Log } from "./log/log.ts";
import { errnoName, SystemCallError } from "./native/errno.ts";
import { parseSocketAddress } from "./net/address.ts";
import { listen, type Intercepted, type Listener, type Takes } from "./net/listener.ts";
import { serveOutbound } from "./outbound.ts";
import { admits } from "./policy/admission.ts";

export type Serving = {
  readonly config: Config;
  readonly context: Context;
  readonly log: Log;
};

/** Listens in both directions, on both families. Throws START_FAILED; what listens already is on `undo`. */
export function startListeners(serving: Serving, undo: DisposableStack): readonly Listener[] {
  const all: Listener[] = [];
  for (const host of ["127.0.0.1", "[::1]"]) {
    for (const way of waysOf(serving)) {
      const listener = startListener(serving, host, way);
      if (listener === null) continue;
      undo.defer(listener.stop);
      all.push(listener);
    }
  }
  return all;
}

type Way = {
  readonly direction: "inbound" | "outbound";
  readonly flag: string;
  readonly port: number;
  readonly serve: (intercepted: Intercepted, context: Context) => Promise<void>;
  readonly takes: Takes;
};

/** Without a policy file no port is ever inspected. With one it listens from the start: a later policy may want it. */
function waysOf({ config, context }: Serving): readonly Way[] {
  const { tcpPort, tlsPort, inspectPort } = config.fixed;
  const outbound = { direction: "outbound", serve: serveOutbound } as const;
  const inbound = { direction: "inbound", serve: serveInbound } as const;
  const tls = { kind: "tls", tls: context.terminating() } as const;
  const inspected = {
    ...inbound,
    flag: "--inspect-port",
    port: inspectPort,
    takes: { kind: "undecided" },
  } as const;
  return [
    { ...outbound, flag: "--tcp-port", port: tcpPort, takes: { kind: "plain" } },
    { ...inbound, flag: "--tls-port", port: tlsPort, takes: tls },
    ...(config.policy.file === null ? [] : [inspected]),
  ];
}

/** Null where the kernel has no IPv6: there is nothing to divert then. */
function startListener(serving: Serving, host: string, way: Way): Listener | null {
  const { context, log } = serving;
  const accept = (intercepted: Intercepted): void => {
    void way.serve(intercepted, context).catch((error: unknown) => {
      log.write("E", "proxy", `internal error: ${describeBug(error)}`);
    });
  };
  const options = {
    address: parseSocketAddress(`${host}:${way.port}`),
    form: context.form,
    backlogMax: context.limits.backlogMax,
    takes: way.takes,
    accept,
    admit: () => admit(context, way.direction),
  };
  return named(`${way.flag} ${way.port} on ${host}`, () =>
    unlessNoIpv6(host, () => listen(options)),
  );
}

function admit({ ledger, limits }: Context, direction: Way["direction"]): boolean {
  const places = { live: ledger.size, strangers: ledger.strangers };
  const admitted = admits(direction, places, limits.connectionsMax);
  if (!admitted) ledger.turnAway(direction);
  return admitted;
}

/** Says which option a failure belongs to, and what to do. */
export function named<T>(option: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const code = errnoName(error.errno);
    const remedy = remedies.get(code);
    const text = `cannot listen (${option}): ${code}${remedy === undefined ? "" : `. ${remedy}`}`;
    throw new ProxyError("START_FAILED", text, { cause: error });
  }
}

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
  ["EADDRNOTAVAIL", "This address is not one of this network namespace's: is lo up?"],
  ["EPERM", "CAP_NET_ADMIN is missing: run as root or give the container that capability."],
  ["EACCES", "Ports below 1024 want CAP_NET_BIND_SERVICE."],
]);
