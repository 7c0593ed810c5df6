/** What a connection needs of the process. */
import type { TLSOptions } from "bun";

import { Ledger } from "./accounting/ledger.ts";
import type { Metrics } from "./accounting/metrics.ts";
import type { Config, Limits } from "./config.ts";
import type { Generation } from "./generation/generation.ts";
import { insideMark } from "./intercept/marks.ts";
import type { Log } from "./log/log.ts";
import { seldom } from "./log/seldom.ts";
import { formatSocketAddress, type SocketAddress } from "./net/address.ts";
import type { Rotation } from "./net/ports.ts";
import { formOf, type SocketForm } from "./net/socket-form.ts";
import { openSparePorts } from "./net/wire-ports.ts";
import type { Rules } from "./policy/rules.ts";
import type { Probes } from "./probe/probe.ts";
import { SilentClients, type ReachOptions } from "./source/reach.ts";
import { leadsBack } from "./source/way-back.ts";
import { WireTuples } from "./source/wire-tuples.ts";
import { HandshakeGate } from "./tls/handshake-gate.ts";
import type { Originator } from "./tls/originate.ts";
import { Tickets } from "./tls/tickets.ts";

export type Context = {
  readonly ledger: Ledger;
  readonly originator: Originator;
  readonly limits: Limits;
  /** Those that hold now: asked for every connection, because the policy changes. */
  readonly rules: () => Rules;
  readonly probes: Probes;
  /** For what is terminated here, by the credentials in use now. */
  readonly terminating: () => TLSOptions;
  readonly source: Source;
};

/** For going to the application as the client. */
export type Source = ReachOptions & {
  readonly wire: WireTuples;
  readonly spare: Rotation;
  /** Whether the rules stand that lead applications' answers of a family back. */
  readonly standing: (of: 4 | 6) => boolean;
  /** Whether the kernel leads what the application sends to this address to the proxy. */
  readonly returns: (rules: Rules, client: SocketAddress) => boolean;
};

export type Surroundings = {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Of every socket that leaves the pod. */
  readonly form: SocketForm;
  /** Whether the rules stand that lead applications' answers of a family back. */
  readonly standing: (of: 4 | 6) => boolean;
  /** Source ports of connections to peers. */
  readonly ports: Rotation;
};

export function makeContext(
  config: Config,
  generation: Generation,
  { log, metrics, limits, form, standing, ports }: Surroundings,
): Context {
  const ledger = new Ledger({
    log,
    metrics,
    now: () => performance.now(),
    ownNotAfter: () => generation.credentials.notAfter,
  });
  return {
    ledger,
    limits,
    originator: originatorOf(generation, { limits, form, ports }),
    source: { ...sourceOf(config, generation, limits), standing, reserved: warnOfReserved(log) },
    rules: () => generation.rules,
    probes: config.fixed.probes,
    terminating: () => generation.terminating,
  };
}

function originatorOf(
  generation: Generation,
  { limits, form, ports }: Pick<Surroundings, "limits" | "form" | "ports">,
): Originator {
  return {
    tls: () => generation.dialing,
    tlsTo: (original) => generation.dialingWith(generation.rules.offered(original)),
    form,
    limits,
    gate: new HandshakeGate({
      all: { count: limits.handshakesMax, leaseMsMax: limits.handshakeLeaseMsMax },
      each: { count: limits.handshakesEachMax, leaseMsMax: limits.handshakeEachLeaseMsMax },
    }),
    tickets: new Tickets(),
    ports,
    keepsSource: () => generation.rules.keepsSource,
    expect: (original) => generation.rules.server(original),
  };
}

function sourceOf(
  { fixed }: Config,
  generation: Generation,
  limits: Limits,
): Omit<Source, "standing" | "reserved"> {
  return {
    form: formOf(limits, insideMark(fixed.mark)),
    limits,
    silent: new SilentClients(),
    wire: new WireTuples(),
    spare: openSparePorts(),
    returns: (rules, client) => !generation.isChanging && leadsBack(rules, fixed, client),
  };
}

function warnOfReserved(log: Log): Source["reserved"] {
  return seldom((client) => {
    const text = `an application here does not see the port of ${formatSocketAddress(client)}, which is below `;
    log.write("W", "inbound", text + reservedRemedy);
  });
}

const reservedRemedy =
  "net.ipv4.ip_unprivileged_port_start: add NET_BIND_SERVICE to the container's capabilities (AmbientCapabilities= in systemd)";
