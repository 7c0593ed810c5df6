/** The process's services for a connection. */
import type { TLSOptions } from "bun";

import type { Budget } from "./connection/budget.ts";
import type { ConnectionRegistry } from "./connection/registry.ts";
import type { LimitRefusals } from "./connection/limit-refusals.ts";
import type { Limits } from "./config.ts";
import type { SocketAddress } from "./net/address.ts";
import type { Held } from "./relay/held.ts";
import type { Rotation } from "./net/ports.ts";
import type { AppliedPolicy } from "./policy/applied-policy.ts";
import type { Probes } from "./probe/probe.ts";
import type { ConnectOptions } from "./original-source/connect.ts";
import type { WireTuples } from "./original-source/wire-tuples.ts";
import type { Originator } from "./tls/originate.ts";
import type { Unverified } from "./tls/unverified.ts";

export type Context = {
  readonly registry: ConnectionRegistry;
  readonly refusals: LimitRefusals;
  /** The current limits from memory. */
  readonly budget: () => Budget;
  readonly held: Held;
  /** Inbound peers whose handshakes are in progress. */
  readonly unverified: Unverified;
  readonly originator: Originator;
  readonly limits: Limits;
  /** The policy in force: evaluated for every connection, because the policy changes. */
  readonly policy: () => AppliedPolicy;
  readonly probes: Probes;
  /** TLS options for termination, with the credentials in use. */
  readonly terminating: () => TLSOptions;
  readonly source: OriginalSource;
};

/** For connecting to the application as the client. */
export type OriginalSource = ConnectOptions & {
  readonly wire: WireTuples;
  readonly spare: Rotation;
  /** Whether the rules that return applications' answers are in place, by family. */
  readonly standing: (of: 4 | 6) => boolean;
  /** Whether the kernel leads the application's packets to this address to the proxy. */
  readonly returns: (policy: AppliedPolicy, client: SocketAddress) => boolean;
};
