/** The kernel's state of a plan, in a form for comparison: shows whether the rules were changed. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

import * as nftables from "../../netlink/nftables.ts";
import * as route from "../../netlink/route.ts";
import { protocol, isErrno, NetlinkSocket, type Request } from "../../netlink/socket.ts";
import { checkFile } from "../../native/errno.ts";
import { aliases } from "../../net/alias.ts";
import { readAttributes, type Message } from "../../netlink/wire.ts";
import type { Plan } from "../rules/rule.ts";
import type { Family } from "../../net/address.ts";
import { fleetingSets } from "../rules/sets.ts";
import { families } from "../rules/steps.ts";

/**
 * Whether IPv6 works on `lo` but has no route there: Docker turns it off and on again when a network is disconnected,
 * which removes the route. Marked packets are then dropped.
 */
function lacksRoute(plan: Plan): boolean {
  const disabled = "/proc/sys/net/ipv6/conf/lo/disable_ipv6";
  if (!existsSync(disabled)) return false;
  const value = checkFile(`read ${disabled}`, () => readFileSync(disabled, "latin1"));
  if (value.trim() !== "0") return false;
  return routingOf(plan, 6).some((found) => found.length === 0);
}

/**
 * A hash over our table, chains, rules, sets, elements, routing rules and routes, without sets that packets change.
 * "" if the table or one of its chains is gone. Throws SystemCallError.
 */
export function snapshot(plan: Plan): string {
  try {
    if (lacksRoute(plan)) return "";
    return hashOf([...tableParts(plan), ...families.flatMap((of) => routingOf(plan, of))]);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}

/** Like `snapshot`, for the table only. */
export function tableSnapshot(plan: Plan): string {
  try {
    return hashOf(tableParts(plan));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}

function hashOf(parts: readonly (readonly string[])[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Like `snapshot`, for rules and routes only, which need no privileges. */
export function routingSnapshot(plan: Plan): string {
  return JSON.stringify(families.flatMap((of) => routingOf(plan, of)));
}

/** Whether a packet with the plan's mark is routed to `lo`, for one family at least; needs no privileges. */
export function hasRoutingOf(plan: Plan): boolean {
  return families.some((of) => isRouted(plan, of));
}

/** The same for one family, including its address on `lo`: net/alias.ts. */
export function isRouted(plan: Plan, of: Family): boolean {
  return routingOf(plan, of).every((found) => found.length > 0);
}

function tableParts(plan: Plan): readonly (readonly string[])[] {
  const { table } = plan;
  const fixed = plan.sets.filter(({ name }) => !fleetingSets.includes(name));
  return [
    ask(protocol.netfilter, nftables.getTable(table), { header: 4, attributes: [1, 2, 3, 6] }),
    ...plan.chains.map(({ name }) =>
      ask(protocol.netfilter, nftables.getChain(table, name), {
        header: 4,
        attributes: [1, 3, 4, 5, 7],
      }),
    ),
    ask(protocol.netfilter, nftables.listRules(table), { header: 4, attributes: [1, 2, 4] }),
    ask(protocol.netfilter, nftables.listSets(table), { header: 4, attributes: [1, 2, 3, 4, 5] }),
    // The kernel lists a hash table in arbitrary order.
    ...fixed.map(({ name }) =>
      ask(protocol.netfilter, nftables.listElements(table, name), {
        header: 4,
        attributes: [1, 2, 3],
      }),
    ),
  ];
}

function routingOf(plan: Plan, of: Family): readonly (readonly string[])[] {
  const { table, priority } = plan.routing;
  const ours = ({ payload }: Message): boolean => {
    const rule = route.readMarkRule(payload);
    return rule !== null && rule.table === table && rule.priority === priority;
  };
  // Interfaces come and go: their routes (devices.ts) are ignored.
  const inTable = ({ payload }: Message): boolean => {
    const found = route.readLocalDefault(payload);
    return found !== null && found.table === table && found.device === route.loopbackIndex;
  };
  return [
    askOrNone(route.listRoutingRules(of), {
      header: 12,
      attributes: [3, 6, 10, 15, 16],
      keep: ours,
    }),
    askOrNone(route.listRoutes(of, table), { header: 8, attributes: [1, 4, 15], keep: inTable }),
    askOrNone(route.listAddresses(of), { header: 2, attributes: [1], keep: isAlias, start: 8 }),
  ];
}

/** The pod's alias address, on any interface: net/alias.ts. */
function isAlias({ payload }: Message): boolean {
  return readAttributes(payload.subarray(8)).some(
    ([type, bytes]) =>
      type === 1 && [aliases[4], aliases[6]].some((alias) => Buffer.from(bytes).equals(alias)),
  );
}

/** The compared part of an answer: some bytes of its header, and these attributes (no handles, no counters). */
type View = {
  readonly header: number;
  readonly attributes: readonly number[];
  readonly keep?: (message: Message) => boolean;
  /** Where attributes begin; the default is that of nf_tables and of rtnetlink's rules and routes. */
  readonly start?: number;
};

function ask(of: number, request: Request, view: View): readonly string[] {
  using socket = new NetlinkSocket(of);
  const { keep = () => true } = view;
  return socket
    .exchange([request])
    .filter(keep)
    .map(({ payload }) => textOf(payload, view));
}

/** Empty if the kernel does not support the family. */
function askOrNone(request: Request, view: View): readonly string[] {
  try {
    return ask(protocol.route, request, view);
  } catch (error) {
    // ENOENT: the routing table is empty.
    if (isErrno(error, "EAFNOSUPPORT", "EOPNOTSUPP", "ENOENT")) return [];
    throw error;
  }
}

/** struct nfgenmsg has the ruleset's generation in its last two bytes: it changes with any table. */
function textOf(
  payload: Uint8Array,
  { header, attributes, start = header === 4 ? 4 : 12 }: View,
): string {
  const head = header === 4 ? payload.subarray(0, 1) : payload.subarray(0, header);
  const kept = readAttributes(payload.subarray(start))
    .filter(([type]) => attributes.includes(type))
    .map(([type, bytes]) => `${type}:${Buffer.from(bytes).toString("hex")}`);
  return [Buffer.from(head).toString("hex"), ...kept].join(" ");
}
