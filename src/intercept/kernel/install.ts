/** The plan in the kernel: put in place once, taken away exactly. */
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
import { changeBatch, tableBatch, type Connections } from "./encode.ts";
import { keyOf, keyOfFields, readOpenConnections, readPorts, type Tuple } from "./open-before.ts";
import { closedOf, gateOf, heldOf, planOf, portsOf } from "../rules/plan.ts";
import type { Plan } from "../rules/rule.ts";
import { routingOf } from "./routing.ts";
import { answeringPorts, openBefore, servedPorts } from "../rules/sets.ts";
import { traceTable, veilTable } from "./veil.ts";
import { isListening } from "./running.ts";

export type Installed = {
  /** Whether we may change them. */
  readonly isOurs: boolean;
  /** Whether we may take them away. */
  readonly isRemovable: boolean;
  /** The connections from before the rules that passed on when these rules were put in place. */
  readonly openBefore: Connections;
  /** These are no longer known from before the rules: nothing of theirs leaves in cleartext. Throws START_FAILED. */
  readonly forget: (connections: readonly Tuple[]) => void;
  /** That of the last `change`. */
  readonly plan: () => Plan;
  /** What `change` needs before anything is touched. Rejects with START_FAILED. */
  readonly prepare: (interception: Interception) => Promise<void>;
  /** No outbound connection begins that is diverted now, until the next `change`. Throws as that does. */
  readonly hold: () => void;
  /**
   * Other rules, in one batch. `whole`: table, rules and routes are written anew, because somebody has changed them.
   * Throws START_FAILED; then the table is as before.
   */
  readonly change: (interception: Interception, whole: boolean) => Connections;
  /**
   * Writes rules and routes anew, as they are meant to be; returns the connections from before the rules that were still
   * known. Throws START_FAILED.
   */
  readonly repair: () => Connections;
  /**
   * Interfaces that have come meanwhile have their routes as well (devices.ts); returns those that cannot be given one.
   * Throws SystemCallError.
   */
  readonly followDevices: () => readonly string[];
  /** Leaves rules that reset what they divert: `closedOf`. Throws START_FAILED; then the rules are as before. */
  readonly close: () => void;
  /** As `remove`. */
  readonly remove: () => void;
  /** Conversations about sockets that are to end: netlink/diag.ts. */
  readonly sockets: Kernel;
};

/**
 * Puts rules and routes in place; twice is as once. Throws START_FAILED with the remedy; then rules, routes and
 * tables are as they were found.
 */
export function install(interception: Interception, kernel: Kernel = ours): Installed {
  const plan = planOf(interception);
  using undo = new DisposableStack();
  let before: Connections;
  try {
    installRouting(kernel, plan, undo);
    before = installTable(kernel, plan, interception);
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
    const kept = whole ? rewrite(kernel, next.plan) : changeTable(kernel, now.plan, next.plan);
    now = next;
    return kept;
  };
  return {
    isOurs: true,
    isRemovable: true,
    openBefore: before,
    forget: (connections) => {
      replaceTable(kernel, now.plan, connections);
    },
    plan: () => now.plan,
    prepare: async () => undefined,
    hold: () => {
      become({ ...now, plan: heldOf(now.interception) }, false);
    },
    change: (next, whole) => become({ interception: next, plan: planOf(next) }, whole),
    repair: () => rewrite(kernel, now.plan),
    followDevices: () => {
      followDevices(kernel, now.plan);
      return [];
    },
    close: () => {
      replaceTable(kernel, closedOf(now.interception));
    },
    remove: () => {
      remove(plan, kernel);
    },
    sockets: kernel,
  };
}

function rewrite(kernel: Kernel, plan: Plan): Connections {
  using undo = new DisposableStack();
  try {
    installRouting(kernel, plan, undo);
  } catch (error) {
    throw explained(error);
  }
  const kept = replaceTable(kernel, plan);
  undo.move();
  return kept;
}

/** A table that somebody has changed so much that it cannot be changed by us is written anew. */
function changeTable(kernel: Kernel, before: Plan, after: Plan): Connections {
  try {
    using socket = kernel(protocol.netfilter);
    socket.send(changeBatch(before, after, withPorts(new Map())));
    return keptConnections(socket, after);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw explained(error);
    return replaceTable(kernel, after);
  }
}

function replaceTable(kernel: Kernel, plan: Plan, without: readonly Tuple[] = []): Connections {
  try {
    using socket = kernel(protocol.netfilter);
    const kept = withoutThese(keptConnections(socket, plan), without);
    socket.send(tableBatch(plan, kept));
    return kept;
  } catch (error) {
    throw explained(error);
  }
}

/** Takes away what is ours, goes on over failures, and throws one error that names them all. */
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

/** None where the kernel does not have the family. */
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

/** Before the table: until something is marked, rule and route are asked by nobody. */
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
 * A first start stops new connections for a moment, lists those that are open, and lets just these pass from
 * then on. A restart keeps the list that it finds: sockets that the last proxy carried are not to pass in clear.
 */
function installTable(kernel: Kernel, plan: Plan, interception: Interception): Connections {
  using socket = kernel(protocol.netfilter);
  const comment = commentOf(socket, plan);
  if (comment !== null) {
    assertNoOther(comment, interception);
    const kept = keptConnections(socket, plan);
    socket.send(tableBatch(plan, kept));
    return kept;
  }
  socket.send(tableBatch(gateOf(interception), noConnections));
  try {
    const open = readOpenConnections();
    socket.send(tableBatch(plan, withPorts(open)));
    return open;
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

/** Throws START_FAILED if the rules serve a proxy on other ports that still listens: it would be left without. */
function assertNoOther(comment: string, { tcpPort, tlsPort }: Interception): void {
  const ports = portsOf(comment);
  if (ports === null || (ports.tcp === tcpPort && ports.tls === tlsPort)) return;
  if (!isListening(ports.tcp)) return;
  const text =
    `rules: another proxy (--tcp-port ${ports.tcp}, --tls-port ${ports.tls}) serves this network namespace, ` +
    "and one is all that fits. End it first.";
  throw new ProxyError("START_FAILED", text);
}

function keptConnections(socket: Conversation, plan: Plan): Connections {
  const kept = new Map<string, readonly (readonly Uint8Array[])[]>();
  for (const name of [...Object.values(openBefore), answeringPorts]) {
    unless(() => {
      const answers = socket.exchange([nftables.listElements(plan.table, name)]);
      kept.set(
        name,
        answers.flatMap(({ payload }) => nftables.readElements(payload)).map((key) => [key]),
      );
    }, "ENOENT");
  }
  return withPorts(kept);
}

/**
 * What packets have told of ports is told by the sockets as well: what listens may have answered before it was watched, after a
 * restart, while the rules were gone.
 */
export function withPorts(connections: Connections): Connections {
  const now = readPorts();
  const known = connections.get(answeringPorts) ?? [];
  const answering = new Map(
    [...known, ...(now.get(servedPorts) ?? [])].map((key) => [String(key), key]),
  );
  return new Map([...connections, ...now, [answeringPorts, [...answering.values()]]]);
}

function withoutThese(kept: Connections, without: readonly Tuple[]): Connections {
  if (without.length === 0) return kept;
  const gone = new Set(without.map((tuple) => keyOf(tuple)));
  const stays = (fields: readonly Uint8Array[]): boolean => !gone.has(keyOfFields(fields));
  return new Map(Array.from(kept, ([name, all]) => [name, all.filter(stays)]));
}

/** False if the kernel refuses with one of these names, true if it does not; throws other refusals. */
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
/** What a kernel without a module says: nf_tables_api.c, nft_expr_type_get; nfnetlink.c. */
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

/** What says that a rule (ENOENT), a route (ESRCH) or an address is not there. */
const absent = ["ENOENT", "ESRCH", "EADDRNOTAVAIL"] as const;
/** A kernel without IPv6, or one where net.ipv6.conf.all.disable_ipv6 is set (EACCES). */
const familyMissing = ["EAFNOSUPPORT", "EOPNOTSUPP", "EACCES"] as const;
