/** Applies the plan to the kernel once, and removes it exactly. */
import type { Family } from "../../net/address.ts";
import type { Interception } from "../rules/interception.ts";
import { ProxyError } from "../../runtime/errors.ts";
import * as nftables from "../../netlink/nftables.ts";
import * as route from "../../netlink/route.ts";
import {
  protocol,
  isErrno,
  kernel as ours,
  type Conversation,
  type Kernel,
} from "../../netlink/socket.ts";
import { followDevices, removeDevices } from "./devices.ts";
import { addBatch, changeBatch, tableBatch, type Connections } from "./encode.ts";
import {
  keyOf,
  keyOfFields,
  openConnections,
  PreexistingSockets,
  readPorts,
  readServed,
  readSockets,
} from "./open-before.ts";
import { type Tuple } from "./proc-tcp.ts";
import { closedOf, listingPlanOf, changingPlanOf, planOf, portsOf } from "../rules/plan.ts";
import type { Plan } from "../rules/rule.ts";
import { routingOf } from "./routing.ts";
import { answeringPorts, dialled, openBefore, servedPorts } from "../rules/sets.ts";
import { traceTable, veilTable } from "./veil.ts";
import { isListening } from "./running.ts";

export type Installed = {
  /** Whether this process may change them. */
  readonly isOurs: boolean;
  /** Whether this process may remove them. */
  readonly isRemovable: boolean;
  /** The preexisting connections that were exempt when these rules were applied. */
  readonly openBefore: Connections;
  /** Removes these from the preexisting connections: nothing of theirs leaves in cleartext. Throws START_FAILED. */
  readonly forget: (connections: readonly Tuple[]) => void;
  /** The plan of the last `change`. */
  readonly plan: () => Plan;
  /** Prepares a `change`, before anything is modified. Rejects with START_FAILED. */
  readonly prepare: (interception: Interception) => Promise<void>;
  /** No outbound connection that is diverted now can begin until the next `change`. Throws as that does. */
  readonly holdNew: () => void;
  /**
   * Applies other rules in one batch. `whole`: rewrites table, rules and routes, because another process has changed
   * them. Throws START_FAILED; then the table is unchanged.
   */
  readonly change: (interception: Interception, whole: boolean) => Connections;
  /** Rewrites rules and routes as intended; returns the preexisting connections still known. Throws START_FAILED. */
  readonly repair: () => Connections;
  /** Adds routes for new interfaces (devices.ts); returns those that cannot be given one. Throws SystemCallError. */
  readonly followDevices: () => readonly string[];
  /** Leaves rules that reset what they divert: `closedOf`. Throws START_FAILED; then the rules are unchanged. */
  readonly close: () => void;
  /** Like `remove`. */
  readonly remove: () => void;
  /** Conversations about sockets to destroy: netlink/diag.ts. */
  readonly sockets: Kernel;
};

/**
 * Applies rules and routes; twice has the effect of once. Throws START_FAILED with the remedy; then rules, routes and
 * tables are as they were found.
 */
export function install(interception: Interception, kernel: Kernel = ours): Installed {
  const plan = planOf(interception);
  using undo = new DisposableStack();
  let before: Connections;
  let sockets: PreexistingSockets;
  try {
    installRouting(kernel, plan, undo);
    ({ before, sockets } = installTable(kernel, plan, interception));
    removeRules(
      kernel,
      plan,
      ({ value, mask }) => value !== plan.mark.value || mask !== plan.mark.mask,
    );
  } catch (error) {
    throw explained(error);
  }
  undo.move();
  let now = { interception, plan };
  const become = (next: typeof now, whole: boolean): Connections => {
    const kept = whole
      ? rewrite(kernel, next.plan, sockets)
      : changeTable(kernel, { before: now.plan, after: next.plan }, sockets);
    now = next;
    return kept;
  };
  return {
    isOurs: true,
    isRemovable: true,
    openBefore: before,
    forget: (connections) => {
      sockets.forget(connections);
      replaceTable(kernel, now.plan, { sockets, without: connections });
    },
    plan: () => now.plan,
    prepare: async () => undefined,
    holdNew: () => {
      become({ ...now, plan: changingPlanOf(now.interception) }, false);
    },
    change: (next, whole) => become({ interception: next, plan: planOf(next) }, whole),
    repair: () => rewrite(kernel, now.plan, sockets),
    followDevices: () => {
      followDevices(kernel, now.plan);
      return [];
    },
    close: () => {
      replaceTable(kernel, closedOf(now.interception), { sockets });
    },
    remove: () => {
      remove(plan, kernel);
    },
    sockets: kernel,
  };
}

function rewrite(kernel: Kernel, plan: Plan, sockets: PreexistingSockets): Connections {
  using undo = new DisposableStack();
  try {
    installRouting(kernel, plan, undo);
  } catch (error) {
    throw explained(error);
  }
  const kept = replaceTable(kernel, plan, { sockets });
  undo.move();
  return kept;
}

/** Rewrites a table that others have changed too much for an incremental change. */
function changeTable(
  kernel: Kernel,
  { before, after }: { readonly before: Plan; readonly after: Plan },
  sockets: PreexistingSockets,
): Connections {
  try {
    using socket = kernel(protocol.netfilter);
    socket.send(changeBatch(before, after, withPorts(new Map())));
    return readSets(socket, after, sparedSets);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw explained(error);
    return replaceTable(kernel, after, { sockets });
  }
}

type Known = {
  readonly sockets: PreexistingSockets;
  /** Not preexisting any more. */
  readonly without?: readonly Tuple[];
};

function replaceTable(kernel: Kernel, plan: Plan, { sockets, without = [] }: Known): Connections {
  try {
    using socket = kernel(protocol.netfilter);
    const known = keptConnections(socket, plan);
    const isGone = !known.has(openBefore[4]) && !known.has(openBefore[6]);
    const kept = withoutThese(isGone ? new Map([...known, ...sockets.elements()]) : known, without);
    socket.send(tableBatch(plan, kept));
    refill(socket, plan);
    return kept;
  } catch (error) {
    throw explained(error);
  }
}

/** Removes everything of ours, continues after failures, and throws one error that lists them all. */
export function remove(plan: Plan, kernel: Kernel = ours): void {
  const failures: unknown[] = [];
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      failures.push(error);
    }
  };
  for (const table of [plan.table, veilTable, traceTable])
    attempt(() => {
      using socket = kernel(protocol.netfilter);
      unless(() => socket.send(nftables.batch([nftables.deleteTable(table)])), "ENOENT");
    });
  attempt(() => {
    removeRules(kernel, plan, () => true);
  });
  attempt(() => {
    removeDevices(kernel, plan);
  });
  using socket = kernel(protocol.route);
  for (const entry of routingOf(plan))
    attempt(() => {
      unless(() => socket.send([entry.delete]), ...absent, ...familyMissing);
    });
  if (failures.length > 0) throw explained(new AggregateError(failures));
}

/** Rules for our table are ours whatever their mark: an earlier start may have had another `--mark`. */
function removeRules(kernel: Kernel, plan: Plan, which: (rule: route.MarkRule) => boolean): void {
  const { table, priority } = plan.routing;
  for (const of of [4, 6] as const) {
    for (const rule of rulesOf(kernel, of)) {
      if (rule.table !== table || rule.priority !== priority || !which(rule)) continue;
      using socket = kernel(protocol.route);
      unless(() => socket.send([route.deleteRoutingRule(rule)]), ...absent);
    }
  }
}

/** Empty if the kernel does not support the family. */
function rulesOf(kernel: Kernel, of: Family): readonly route.MarkRule[] {
  const rules: route.MarkRule[] = [];
  unless(
    () => {
      using socket = kernel(protocol.route);
      for (const { payload } of socket.exchange([route.listRoutingRules(of)])) {
        const rule = route.readMarkRule(payload);
        if (rule !== null) rules.push(rule);
      }
    },
    ...familyMissing,
  );
  return rules;
}

/** Before the table: until packets are marked, rule and route have no effect. */
function installRouting(kernel: Kernel, plan: Plan, undo: DisposableStack): void {
  for (const entry of routingOf(plan)) {
    using socket = kernel(protocol.route);
    const added = unless(() => socket.send([entry.add]), "EEXIST", ...familyMissing);
    if (!added) continue;
    undo.defer(() => {
      using again = kernel(protocol.route);
      unless(() => again.send([entry.delete]), ...absent, ...familyMissing);
    });
  }
  undo.defer(followDevices(kernel, plan));
}

/**
 * A first start blocks new connections for a moment, lists the open ones, and lets exactly these pass from then on. A
 * restart keeps the list that it finds: sockets that the last proxy carried must not pass in cleartext.
 */
function installTable(
  kernel: Kernel,
  plan: Plan,
  interception: Interception,
): { readonly before: Connections; readonly sockets: PreexistingSockets } {
  using socket = kernel(protocol.netfilter);
  const comment = commentOf(socket, plan);
  if (comment !== null) {
    assertNoOther(comment, interception);
    const kept = keptConnections(socket, plan);
    socket.send(tableBatch(plan, kept));
    refill(socket, plan);
    return { before: kept, sockets: new PreexistingSockets(kept, readSockets()) };
  }
  socket.send(tableBatch(listingPlanOf(interception), noConnections));
  try {
    const all = readSockets();
    const before = openConnections(all);
    socket.send(tableBatch(plan, withPorts(before)));
    return { before, sockets: new PreexistingSockets(before, all) };
  } catch (error) {
    socket.send(nftables.batch([nftables.deleteTable(plan.table)]));
    throw error;
  }
}

/** Null if there is no table. */
function commentOf(socket: Conversation, plan: Plan): string | null {
  let comment: string | null = null;
  unless(() => {
    const [answer] = socket.exchange([nftables.getTable(plan.table)]);
    comment = answer === undefined ? "" : nftables.readComment(answer.payload);
  }, "ENOENT");
  return comment;
}

/** Throws START_FAILED if the rules serve a proxy on other ports that still listens: it would lose its rules. */
function assertNoOther(comment: string, { tcpPort, tlsPort }: Interception): void {
  const ports = portsOf(comment);
  if (ports === null || (ports.tcp === tcpPort && ports.tls === tlsPort)) return;
  if (!isListening(ports.tcp)) return;
  const text =
    `rules: another proxy (--tcp-port ${ports.tcp}, --tls-port ${ports.tls}) serves this network namespace, ` +
    "and one is all that fits. End it first.";
  throw new ProxyError("START_FAILED", text);
}

/**
 * Right after a table was rebuilt, and not before, because a host may have many sockets: adds the clients, and what
 * packets have recorded in the meantime. Without a free descriptor nothing is listed.
 */
function refill(socket: Conversation, plan: Plan): void {
  let served: Connections;
  try {
    served = readServed();
  } catch (error) {
    if (error instanceof Error && "code" in error) return;
    throw error;
  }
  socket.send(addBatch(plan, served));
}

/** What is carried over into a table that is rebuilt, without clients: `refill`. */
function keptConnections(socket: Conversation, plan: Plan): Connections {
  return withPorts(readSets(socket, plan, [...sparedSets, answeringPorts, servedPorts]));
}

/** The elements in the kernel; none of a set that does not exist. */
function readSets(socket: Conversation, plan: Plan, names: readonly string[]): Connections {
  const kept = new Map<string, readonly (readonly Uint8Array[])[]>();
  for (const name of names) {
    unless(() => {
      const answers = socket.exchange([nftables.listElements(plan.table, name)]);
      kept.set(
        name,
        answers.flatMap(({ payload }) => nftables.readElements(payload)).map((key) => [key]),
      );
    }, "ENOENT");
  }
  return kept;
}

/**
 * Adds the listening ports to those that packets have recorded: after a restart a listener may have answered while
 * the rules were missing.
 */
export function withPorts(connections: Connections): Connections {
  const now = readPorts();
  const both = Array.from(now, ([set, keys]) => {
    const all = [...(connections.get(set) ?? []), ...keys];
    return [set, [...new Map(all.map((key) => [String(key), key])).values()]] as const;
  });
  return new Map([...connections, ...both]);
}

function withoutThese(kept: Connections, without: readonly Tuple[]): Connections {
  if (without.length === 0) return kept;
  const gone = new Set(without.map((tuple) => keyOf(tuple)));
  const stays = (fields: readonly Uint8Array[]): boolean => !gone.has(keyOfFields(fields));
  return new Map(Array.from(kept, ([name, all]) => [name, all.filter(stays)]));
}

/** False if the kernel's error is one of these names, true on success; throws other errors. */
function unless(act: () => void, ...names: readonly string[]): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (isErrno(error, ...names)) return false;
    throw error;
  }
}

function explained(error: unknown): ProxyError {
  if (error instanceof ProxyError && error.code === "START_FAILED") return error;
  const all = error instanceof AggregateError ? error.errors : [error];
  const unknown = all.find((one) => !(one instanceof ProxyError));
  if (unknown !== undefined) throw unknown;
  const texts = all.map((one) => (one instanceof ProxyError ? one.message : ""));
  const known = remedies.filter(({ applies }) => all.some((one) => applies(one)));
  const text = `rules: ${texts.join("; ")}${known.map(({ remedy }) => `. ${remedy}`).join("")}`;
  return new ProxyError("START_FAILED", text, { cause: error });
}

const noConnections: Connections = new Map();
/** Connections that the rules leave in cleartext. */
const sparedSets = [...Object.values(openBefore), ...Object.values(dialled)];
/** The errors of a kernel without a module: nf_tables_api.c, nft_expr_type_get; nfnetlink.c. */
const remedies: readonly {
  readonly applies: (error: unknown) => boolean;
  readonly remedy: string;
}[] = [
  {
    applies: (error) => isErrno(error, "EPERM"),
    remedy:
      "CAP_NET_ADMIN is missing: run as root, and add NET_ADMIN to the container's capabilities (its other users get none).",
  },
  {
    applies: (error) => isErrno(error, "ENETDOWN"),
    remedy: "The interface lo is down: ip link set lo up.",
  },
  {
    applies: (error) => isErrno(error, "ENOENT") && isAbout(error, "add rule to chain"),
    remedy:
      "The kernel lacks a part of nftables that this rule needs: modprobe nft_tproxy nft_fib_inet nft_ct nft_nat nft_socket " +
      "(CONFIG_NFT_TPROXY and the like).",
  },
  {
    applies: (error) => isErrno(error, "EOPNOTSUPP") && isAbout(error, "add rule to chain"),
    remedy: "The kernel has no TPROXY for IPv6: modprobe nf_tproxy_ipv6 (CONFIG_NF_TPROXY_IPV6).",
  },
  {
    applies: (error) => isErrno(error, "EPROTONOSUPPORT", "EINVAL") && !isAbout(error, "IPv"),
    remedy: "The kernel has no nftables: modprobe nf_tables (CONFIG_NF_TABLES).",
  },
];

function isAbout(error: unknown, what: string): boolean {
  return error instanceof ProxyError && error.message.includes(what);
}

/** Errors for a missing rule (ENOENT), route (ESRCH) or address. */
const absent = ["ENOENT", "ESRCH", "EADDRNOTAVAIL"] as const;
/** A kernel without IPv6, or one with net.ipv6.conf.all.disable_ipv6 set (EACCES). */
const familyMissing = ["EAFNOSUPPORT", "EOPNOTSUPP", "EACCES"] as const;
