/** Requests to rtnetlink(7): rules, routes, and the links and addresses of a test bed or demo. */
import type { Family } from "../net/address.ts";
import type { Request } from "./socket.ts";
import { attribute, concat, flag, nested, readAttributes, text, u16, u32, u8 } from "./wire.ts";

/** "packets with this mark that enter by lo are looked up in this table". */
export type MarkRule = {
  readonly family: Family;
  readonly value: number;
  readonly mask: number;
  readonly table: number;
  readonly priority: number;
};

/** `ip rule add fwmark V/M iif lo lookup T priority P`; -EEXIST if it exists. fib_rules.h. */
export function addRoutingRule(rule: MarkRule): Request {
  const flags = flag.request | flag.ack | flag.create | flag.excl;
  return {
    type: 32,
    flags,
    body: ruleBody(rule, actionLookup),
    about: `add IPv${rule.family} rule for the mark`,
  };
}

/** -ENOENT if it does not exist. */
export function deleteRoutingRule(rule: MarkRule): Request {
  const flags = flag.request | flag.ack;
  return {
    type: 33,
    flags,
    body: ruleBody(rule, any),
    about: `delete IPv${rule.family} rule for the mark`,
  };
}

/** Lists all rules of a family: for `readMarkRule`. */
export function listRoutingRules(of: Family): Request {
  const body = [concat(u8(afOf(of)), new Uint8Array(11))];
  return { type: 34, flags: flag.request | flag.dump, body, about: `list IPv${of} rules` };
}

/** A rule in the form of `MarkRule`, or null for any other. Throws NETLINK_INVALID. */
export function readMarkRule(payload: Uint8Array): MarkRule | null {
  const attributes = new Map(readAttributes(payload.subarray(12)));
  const number = (type: number): number => {
    const bytes = attributes.get(type);
    return bytes?.length === 4
      ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
      : 0;
  };
  const of = payload[0] === afInet ? 4 : 6;
  const rule = { family: of, value: number(10), mask: number(16) } as const;
  if (new TextDecoder().decode(attributes.get(3)) !== "lo\0" || rule.value === 0) return null;
  return { ...rule, table: number(15), priority: number(6) };
}

/** FRA_PRIORITY of any rule; 0 for the first one, which looks up local addresses. */
export function priorityOf(payload: Uint8Array): number {
  const bytes = new Map(readAttributes(payload.subarray(12))).get(6);
  return bytes?.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0;
}

/** `ip route add local default dev lo table T`; -EEXIST if it exists. `lo` has index 1 in every namespace. */
export function addLocalDefault(of: Family, table: number): Request {
  const flags = flag.request | flag.ack | flag.create | flag.excl;
  return {
    type: 24,
    flags,
    body: localDefault(of, table, protocolBoot),
    about: `add IPv${of} local route`,
  };
}

/** -ESRCH if it does not exist. */
export function deleteLocalDefault(of: Family, table: number): Request {
  const flags = flag.request | flag.ack;
  return {
    type: 25,
    flags,
    body: localDefault(of, table, any),
    about: `delete IPv${of} local route`,
  };
}

/** A local default route by an interface, given by its index. */
export type DeviceRoute = {
  readonly family: Family;
  readonly table: number;
  readonly device: number;
};

/**
 * `ip route add local default dev D table T metric M`; -EEXIST if it exists. Comes after the route by `lo`, whose
 * metric is 1024 for IPv6.
 */
export function addDeviceDefault({ family, table, device }: DeviceRoute): Request {
  const flags = flag.request | flag.ack | flag.create | flag.excl;
  const body = localDefault(family, table, protocolBoot, device);
  return { type: 24, flags, body, about: `add IPv${family} local route by interface ${device}` };
}

/** -ESRCH if it does not exist. */
export function deleteDeviceDefault({ family, table, device }: DeviceRoute): Request {
  const flags = flag.request | flag.ack;
  const body = localDefault(family, table, any, device);
  return { type: 25, flags, body, about: `delete IPv${family} local route by interface ${device}` };
}

/** Table and interface of a local default route, null for another route: struct rtmsg. */
export function readLocalDefault(
  payload: Uint8Array,
): { readonly table: number; readonly device: number } | null {
  if (payload[1] !== 0 || payload[7] !== typeLocal) return null;
  const attributes = new Map(readAttributes(payload.subarray(12)));
  const number = (type: number): number => {
    const bytes = attributes.get(type);
    return bytes?.length === 4
      ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
      : 0;
  };
  return { table: number(15), device: number(4) };
}

/** Scope and interface of an address, from an answer to `listAddresses`: struct ifaddrmsg. */
export function readAddressPlace(payload: Uint8Array): {
  readonly scope: number;
  readonly device: number;
} {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { scope: view.getUint8(3), device: view.getUint32(4, true) };
}

/** Requests the routes of one table; a kernel before 4.20 returns those of all tables. */
export function listRoutes(of: Family, table: number): Request {
  const header = concat(u8(afOf(of)), new Uint8Array(11));
  const body = [header, attribute(15, u32(table))];
  return { type: 26, flags: flag.request | flag.dump, body, about: `list IPv${of} routes` };
}

/** A route to `destination/prefix` by a gateway, or straight onto an interface. */
export function addRoute(route: {
  readonly destination: Uint8Array;
  readonly prefix: number;
  readonly gateway?: Uint8Array;
  readonly interfaceIndex: number;
}): Request {
  const of = familyOf(route.destination);
  const gateway = route.gateway === undefined ? [] : [attribute(5, route.gateway)];
  const scope = route.gateway === undefined ? scopeLink : scopeUniverse;
  const body = [
    concat(
      u8(of),
      u8(route.prefix),
      u8(0),
      u8(0),
      u8(tableMain),
      u8(protocolBoot),
      u8(scope),
      u8(1),
      u32(0),
    ),
    attribute(1, route.destination),
    ...gateway,
    attribute(4, u32(route.interfaceIndex)),
  ];
  return { type: 24, flags: flag.request | flag.ack | flag.create, body, about: "add route" };
}

/** A pair of veth ends; the second may be created in the namespace of another process. veth(4). */
export function addVethPair(pair: {
  readonly name: string;
  readonly peerName: string;
  readonly peerPid?: number;
}): Request {
  const namespace = pair.peerPid === undefined ? [] : [attribute(19, u32(pair.peerPid))];
  const peer = attribute(1, linkHeader(0, 0, 0), attribute(3, text(pair.peerName)), ...namespace);
  const info = nested(18, attribute(1, bare("veth")), nested(2, peer));
  return newLink(
    [linkHeader(0, 0, 0), attribute(3, text(pair.name)), info],
    `add veth ${pair.name}`,
  );
}

export function addBridge(name: string): Request {
  const info = nested(18, attribute(1, bare("bridge")));
  return newLink([linkHeader(0, 0, 0), attribute(3, text(name)), info], `add bridge ${name}`);
}

/** Lists all links: for `linkIndexOf`. */
export function listLinks(): Request {
  return {
    type: 18,
    flags: flag.request | flag.dump,
    body: [new Uint8Array(16)],
    about: "list links",
  };
}

/** Returns the link, for `linkIndexOf`. -ENODEV if it does not exist. */
export function getLink(name: string): Request {
  const body = [linkHeader(0, 0, 0), attribute(3, text(name))];
  return { type: 18, flags: flag.request | flag.ack, body, about: `look for interface ${name}` };
}

/** The interface's index from an answer to `getLink`: struct ifinfomsg, ifi_index. */
export function linkIndexOf(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getInt32(4, true);
}

/** Sets an interface up, and adds it to the bridge `master` if given. */
export function setUp(interfaceIndex: number, master?: number): Request {
  const port = master === undefined ? [] : [attribute(10, u32(master))];
  const body = [linkHeader(interfaceIndex, 1, 1), ...port];
  const flags = flag.request | flag.ack;
  return { type: 16, flags, body, about: `set interface ${interfaceIndex} up` };
}

/** Adds an address, 4 or 16 bytes, without duplicate address detection, so that it is usable at once. */
export function addAddress(interfaceIndex: number, address: Uint8Array, prefix: number): Request {
  const of = familyOf(address);
  const noDuplicateDetection = of === afInet6 ? 0x02 : 0;
  const body = [
    concat(u8(of), u8(prefix), u8(noDuplicateDetection), u8(0), u32(interfaceIndex)),
    attribute(2, address),
    attribute(1, address),
  ];
  const flags = flag.request | flag.ack | flag.create | flag.excl;
  return { type: 20, flags, body, about: `add address to interface ${interfaceIndex}` };
}

/**
 * Adds an address of this machine to `lo` that is never chosen as a source toward others: IPv4 because of its scope,
 * IPv6 because it is deprecated (RFC 4862, 5.5.4). -EEXIST if it exists.
 */
export function addLoopbackAddress(address: Uint8Array): Request {
  const isIpv4 = address.length === 4;
  const deprecated = [u32(0), u32(forever), u32(0), u32(0)];
  const flags = flag.request | flag.ack | flag.create | flag.excl;
  const body = [
    ...loopbackAddress(address, isIpv4 ? scopeHost : scopeUniverse),
    ...(isIpv4 ? [] : [attribute(6, ...deprecated)]),
  ];
  return { type: 20, flags, body, about: "add an address to lo" };
}

/** Lists the addresses of a family, each a struct ifaddrmsg of eight bytes and attributes. */
export function listAddresses(of: Family): Request {
  const body = [concat(u8(afOf(of)), new Uint8Array(7))];
  return { type: 22, flags: flag.request | flag.dump, body, about: `list IPv${of} addresses` };
}

/** -EADDRNOTAVAIL if it does not exist. */
export function deleteLoopbackAddress(address: Uint8Array): Request {
  const flags = flag.request | flag.ack;
  const body = loopbackAddress(address, scopeUniverse);
  return { type: 21, flags, body, about: "delete an address of lo" };
}

/** struct ifaddrmsg. */
function loopbackAddress(address: Uint8Array, scope: number): readonly Uint8Array[] {
  const prefix = address.length * 8;
  return [
    concat(u8(familyOf(address)), u8(prefix), u8(0), u8(scope), u32(loopbackIndex)),
    attribute(2, address),
    attribute(1, address),
  ];
}

/** struct fib_rule_hdr and attributes in the order of iproute2. */
function ruleBody(rule: MarkRule, action: number): readonly Uint8Array[] {
  return [
    concat(
      u8(afOf(rule.family)),
      new Uint8Array(3),
      u8(tableUnspec),
      new Uint8Array(2),
      u8(action),
      u32(0),
    ),
    attribute(10, u32(rule.value)),
    attribute(16, u32(rule.mask)),
    attribute(3, text("lo")),
    attribute(15, u32(rule.table)),
    attribute(6, u32(rule.priority)),
  ];
}

/** struct rtmsg: a default route of type local. IPv6 routes have no scopes. */
function localDefault(
  of: Family,
  table: number,
  protocol: number,
  device: number = loopbackIndex,
): readonly Uint8Array[] {
  const isByLo = device === loopbackIndex;
  return [
    concat(
      u8(afOf(of)),
      new Uint8Array(3),
      u8(tableUnspec),
      u8(protocol),
      u8(of === 4 ? scopeHost : scopeUniverse),
      u8(typeLocal),
      u32(0),
    ),
    attribute(1, new Uint8Array(of === 4 ? 4 : 16)),
    attribute(15, u32(table)),
    ...(isByLo ? [] : [attribute(6, u32(deviceMetric + device))]),
    attribute(4, u32(device)),
  ];
}

/** struct ifinfomsg. */
function linkHeader(index: number, flags: number, change: number): Uint8Array {
  return concat(u8(0), u8(0), u16(0), u32(index), u32(flags), u32(change));
}

function newLink(body: readonly Uint8Array[], about: string): Request {
  const flags = flag.request | flag.ack | flag.create | flag.excl;
  return { type: 16, flags, body, about };
}

/** iproute2 sends IFLA_INFO_KIND without a terminating zero. */
function bare(kind: string): Uint8Array {
  return new TextEncoder().encode(kind);
}

function familyOf(address: Uint8Array): number {
  return address.length === 4 ? afInet : afInet6;
}

function afOf(of: Family): number {
  return of === 4 ? afInet : afInet6;
}

const afInet = 2;
const afInet6 = 10;
/** FR_ACT_TO_TBL; a deletion is matched by its other fields. */
const actionLookup = 1;
const any = 0;
const tableUnspec = 0;
const tableMain = 254;
const protocolBoot = 3;
const scopeUniverse = 0;
const scopeLink = 253;
const scopeHost = 254;
const typeLocal = 2;
/**
 * For local routes by interfaces; the interface's index is added, because two routes with the same metric are one.
 */
export const deviceMetric = 2048;
/** INFINITY_LIFE_TIME */
const forever = 0xff_ff_ff_ff;
/** The index of `lo` in every network namespace: the kernel's LOOPBACK_IFINDEX. */
export const loopbackIndex = 1;
