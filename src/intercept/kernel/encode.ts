/** Encodes the plan as nf_tables requests, with the dependencies that `nft` would add. Pure. */
import { bytesOf } from "../../net/cidr.ts";
import { portMax } from "../../net/ports.ts";
import { aliases } from "../../net/alias.ts";
import * as vm from "../../netlink/expressions.ts";
import * as nftables from "../../netlink/nftables.ts";
import { loopbackIndex } from "../../netlink/route.ts";
import type { Request } from "../../netlink/socket.ts";
import { be16, u32 } from "../../netlink/wire.ts";
import {
  destinationOutside,
  familyOnly,
  flagsAre,
  headersAre,
  headersSteer,
  operator,
  placeOf,
  protocolTcp,
  registerAt,
  tcpOnly,
  type KnownHeaders,
} from "./headers.ts";
import {
  otherWay,
  setOf,
  type Field,
  type Plan,
  type Rule,
  type SetPlan,
  type Step,
  type TrackedStep,
} from "../rules/rule.ts";
import {
  fleetingSets,
  isOfRanges,
  openBeforeSizeMin,
  portsMax,
  seenClientsMax,
} from "../rules/sets.ts";

/** Elements of the sets that packets change, by the set's name: the bytes of each key. */
export type Connections = ReadonlyMap<string, readonly (readonly Uint8Array[])[]>;

/** One batch that replaces any existing table of this name. */
export function tableBatch(plan: Plan, connections: Connections): readonly Request[] {
  return nftables.batch([
    nftables.addTable(plan.table),
    nftables.deleteTable(plan.table),
    nftables.addTable(plan.table, plan.comment),
    ...plan.sets.flatMap((set) => setRequests(plan, set, connections)),
    ...plan.chains.map((chain) => nftables.addChain(plan.table, chain)),
    ...ruleRequests(plan),
  ]);
}

/**
 * One batch that changes a table from `before` to `after`. Sets that packets change stay as they are: elements
 * removed meanwhile stay removed. `known`: elements of new sets.
 */
export function changeBatch(
  before: Plan,
  after: Plan,
  known: Connections = new Map(),
): readonly Request[] {
  const { table } = after;
  // Sets of single ports and of ranges differ in kind: a set that changes its kind is recreated.
  const isKept = (set: SetPlan): boolean =>
    after.sets.some(
      ({ name, elements }) => name === set.name && elements.kind === set.elements.kind,
    );
  const kept = new Map(before.sets.filter(isKept).map((set) => [set.name, set]));
  const gone = before.sets.filter((set) => !isKept(set));
  const come = without(after.chains, before.chains);
  return nftables.batch([
    ...before.chains.map(({ name }) => nftables.flushChain(table, name)),
    ...without(before.chains, after.chains).map(({ name }) => nftables.deleteChain(table, name)),
    ...come.map((chain) => nftables.addChain(table, chain)),
    ...gone.map(({ name }) => nftables.deleteSet(table, name)),
    ...after.sets.flatMap((set) => changeRequests(after, kept.get(set.name), { set, known })),
    ...ruleRequests(after),
  ]);
}

/** Those whose names the others do not have. */
function without<T extends { readonly name: string }>(
  these: readonly T[],
  others: readonly T[],
): readonly T[] {
  return these.filter(({ name }) => others.every((other) => other.name !== name));
}

/**
 * One batch that restores the planned table from whatever is left of it, or creates it. Elements that packets have
 * added or removed stay so; `known` is added to such sets.
 */
export function fillBatch(plan: Plan, known: Connections): readonly Request[] {
  const { table } = plan;
  const sets = plan.sets.map((set) => ({ set, requests: setRequests(plan, set, known) }));
  return nftables.batch([
    nftables.addTable(table, plan.comment),
    ...sets.flatMap(({ requests }) => requests.slice(0, 1)),
    ...plan.chains.map((chain) => nftables.addChain(table, chain)),
    ...plan.chains.map(({ name }) => nftables.flushChain(table, name)),
    ...sets
      .filter(({ set }) => !fleetingSets.includes(set.name))
      .map(({ set }) => nftables.flushSet(table, set.name)),
    ...sets.flatMap(({ requests }) => requests.slice(1)),
    ...ruleRequests(plan),
  ]);
}

/** One batch that adds elements to sets of the table. */
export function addBatch(plan: Plan, connections: Connections): readonly Request[] {
  const sets = plan.sets.filter(({ name }) => connections.has(name));
  return nftables.batch(sets.flatMap((set) => setRequests(plan, set, connections).slice(1)));
}

/** A set that is new, or has other elements. */
function changeRequests(
  plan: Plan,
  before: SetPlan | undefined,
  { set, known }: { readonly set: SetPlan; readonly known: Connections },
): readonly Request[] {
  if (before === undefined) return setRequests(plan, set, known);
  if (fleetingSets.includes(set.name) || Bun.deepEquals(before, set)) return [];
  const [, ...elements] = setRequests(plan, set, new Map());
  return [nftables.flushSet(plan.table, set.name), ...elements];
}

function ruleRequests(plan: Plan): readonly Request[] {
  return plan.chains.flatMap(({ name, rules }) =>
    rules.map((rule) => nftables.addRule(plan.table, name, expressionsOf(plan, rule))),
  );
}

function setRequests(plan: Plan, set: SetPlan, connections: Connections): readonly Request[] {
  const known = connections.get(set.name) ?? [];
  const form = formOf(plan, set, known.length);
  const request = nftables.addSet(plan.table, form);
  const { elements } = set;
  switch (elements.kind) {
    case "intervals": {
      const max = (1n << (set.family === 4 ? 32n : 128n)) - 1n;
      const intervals = elements.intervals.map(({ first, last }) => ({
        first: bytesOf(first, set.family),
        end: last === max ? null : bytesOf(last + 1n, set.family),
      }));
      return [request, ...nftables.addIntervals(plan.table, form, intervals)];
    }
    case "ports": {
      const ranges = elements.ports.map(({ first, last }) => ({
        first: be16(first),
        end: last === portMax ? null : be16(last + 1),
      }));
      return [request, ...nftables.addIntervals(plan.table, form, ranges)];
    }
    case "numbers": {
      const encode = isOfOwner(set) ? u32 : be16;
      const keys = elements.numbers.map((value) => [encode(value)]);
      return [request, ...nftables.addElements(plan.table, form, keys)];
    }
    case "destinations": {
      const keys = elements.destinations.map(({ bytes, port }) => [bytes, be16(port)]);
      return [request, ...nftables.addElements(plan.table, form, keys)];
    }
    case "learned": {
      const always = elements.always.map((port) => [be16(port)]);
      const more = known.filter((key) => always.every((one) => !Bun.deepEquals(one, key)));
      return [request, ...nftables.addElements(plan.table, form, [...always, ...more])];
    }
    case "clients":
    case "connections":
      return [request, ...nftables.addElements(plan.table, form, known)];
  }
}

function formOf(plan: Plan, set: SetPlan, connections: number): nftables.SetForm {
  return {
    name: set.name,
    id: idOf(plan, set.name),
    key: set.fields.map((field) => keyTypeOf(field, set.family)),
    interval: isOfRanges(set),
    size: sizeOf(set, connections),
  };
}

/** The owner of the sending socket, in host byte order. */
function isOfOwner({ fields: [field] }: SetPlan): boolean {
  return field === "uid" || field === "gid";
}

/** Null for a set that packets do not change. */
function sizeOf({ elements }: SetPlan, connections: number): number | null {
  if (elements.kind === "clients") return seenClientsMax;
  if (elements.kind === "learned") return portsMax;
  return elements.kind === "connections" ? Math.max(openBeforeSizeMin, connections) : null;
}

function idOf(plan: Plan, name: string): number {
  return plan.sets.indexOf(setOf(plan, name)) + 1;
}

function keyTypeOf(field: Field, family: 4 | 6): nftables.KeyType {
  if (field === "saddr" || field === "daddr") return family === 4 ? "ipv4_addr" : "ipv6_addr";
  return field === "uid" || field === "gid" ? field : "inet_service";
}

function expressionsOf(plan: Plan, rule: Rule): readonly vm.Expression[] {
  const known: KnownHeaders = { family: null, tcp: false };
  return rule.flatMap((step) => stepExpressions(plan, step, known));
}

function stepExpressions(plan: Plan, step: Step, known: KnownHeaders): readonly vm.Expression[] {
  switch (step.kind) {
    case "fwmark":
    case "connection-mark":
      return hasMark(plan, step);
    case "loopback": // By its index: a name would be copied and compared for each packet.
      return [vm.meta(vm.metaKey[step.way]), vm.cmp(operator(step.is), u32(loopbackIndex))];
    case "tcp":
      if (step.is) known.tcp = true;
      return [vm.meta(vm.metaKey.l4proto), vm.cmp(operator(step.is), protocolTcp)];
    case "alias":
      return aliasExpressions(step, known);
    case "opening":
      return flagsAre(known, synAndAck, syn, step.is ?? true);
    case "answering":
      return flagsAre(known, synAndAck, synAndAck);
    case "resetting":
      return flagsAre(known, rst, rst);
    case "no-data":
    case "steered":
    case "outside":
      return headersExpressions(step, known);
    case "socket":
    case "whole-socket":
    case "socket-mark":
      return socketExpressions(plan, step);
    case "in-set":
    case "not-emptied":
      return lookupExpressions(plan, step, known);
    case "forget":
    case "remember":
      return changeExpressions(plan, step, known);
    case "not-local-destination":
    case "not-local-source":
      return notLocal(step.kind);
    case "same-link":
      return [vm.hasWayBackBy(), vm.cmp(vm.compare.equal, u32(1))];
    case "reply":
    case "assured":
    case "new":
    case "untracked":
    case "translated":
      return trackedExpressions(step);
    case "keep-destination":
      return keepDestination(step.family, known);
    case "set-fwmark":
    case "set-connection-mark":
      return markExpressions(plan, step);
    case "tproxy":
      return vm.tproxy(loopback[step.family], step.port);
    case "reset":
      return [vm.resetConnection()];
    case "verdict":
      return [vm.setVerdict(vm.verdict[step.verdict])];
    case "goto":
      return [vm.goTo(step.chain)];
  }
}

function hasMark(
  plan: Plan,
  step: Step & { readonly kind: "fwmark" | "connection-mark" },
): readonly vm.Expression[] {
  return step.kind === "fwmark"
    ? [vm.meta(vm.metaKey.mark), ...maskedIs(plan, step.equals, true)]
    : [vm.connection(vm.connectionKey.mark), ...maskedIs(plan, step.equals, step.is)];
}

function socketExpressions(
  plan: Plan,
  step: Step & { readonly kind: "socket" | "whole-socket" | "socket-mark" },
): readonly vm.Expression[] {
  switch (step.kind) {
    case "socket":
      return [vm.socketTransparent(), vm.cmp(vm.compare.atMost, Uint8Array.of(1))];
    case "whole-socket": // True for any full socket: none has this mark, and only full ones have any.
      return [vm.socketMark(), ...maskedIs(plan, plan.mark.value, false)];
    case "socket-mark":
      return [vm.socketMark(), ...maskedIs(plan, step.equals, step.is)];
  }
}

function notLocal(kind: "not-local-destination" | "not-local-source"): readonly vm.Expression[] {
  const way = kind === "not-local-source" ? vm.sourceType() : vm.destinationType();
  return [way, vm.cmp(vm.compare.notEqual, u32(typeLocal))];
}

function headersExpressions(
  step: Step & { readonly kind: "no-data" | "steered" | "outside" },
  known: KnownHeaders,
): readonly vm.Expression[] {
  if (step.kind === "outside") return destinationOutside(known, step.family, step.intervals);
  return step.kind === "steered"
    ? headersSteer(known, step.family)
    : headersAre(known, step.family, step.words);
}

function changeExpressions(
  plan: Plan,
  step: Step & { readonly kind: "forget" | "remember" },
  known: KnownHeaders,
): readonly vm.Expression[] {
  const change = step.kind === "forget" ? vm.deleteFromSet : vm.addToSet;
  return [
    ...keyExpressions(plan, step.set, known, step.answers),
    change(step.set, idOf(plan, step.set)),
  ];
}

function lookupExpressions(
  plan: Plan,
  step: Step & { readonly kind: "in-set" | "not-emptied" },
  known: KnownHeaders,
): readonly vm.Expression[] {
  const id = idOf(plan, step.set);
  if (step.kind === "in-set")
    return [
      ...keyExpressions(plan, step.set, known, step.answers),
      vm.lookup(step.set, id, step.is),
    ];
  // Any field of two bytes would do: none of its bits counts.
  const { from, offset, length } = placeOf("sport", 4);
  const none = new Uint8Array(length);
  return [
    ...tcpOnly(known),
    vm.payload(from, offset, length),
    vm.bitwise(none, none),
    vm.lookup(step.set, id, true),
  ];
}

function markExpressions(
  plan: Plan,
  { kind, value }: Step & { readonly kind: "set-fwmark" | "set-connection-mark" },
): readonly vm.Expression[] {
  const [load, store] =
    kind === "set-fwmark"
      ? [vm.meta(vm.metaKey.mark), vm.setMeta(vm.metaKey.mark)]
      : [vm.connection(vm.connectionKey.mark), vm.setConnection(vm.connectionKey.mark)];
  return [load, replaceMasked(plan, value), store];
}

function aliasExpressions(
  { way, family }: Step & { readonly kind: "alias" },
  known: KnownHeaders,
): readonly vm.Expression[] {
  const { from, offset, length } = placeOf(way, family);
  return [
    ...familyOnly(family, known),
    vm.payload(from, offset, length),
    vm.cmp(vm.compare.equal, aliases[family]),
  ];
}

/** Loads a set's key from the packet into the registers from 1 on, after checking that it exists. */
function keyExpressions(
  plan: Plan,
  name: string,
  known: KnownHeaders,
  answers = false,
): readonly vm.Expression[] {
  const set = setOf(plan, name);
  if (isOfOwner(set))
    return [vm.meta(set.fields[0] === "uid" ? vm.metaKey.skuid : vm.metaKey.skgid)];
  const hasAddress = set.fields.some((field) => field === "saddr" || field === "daddr");
  const hasPort = set.fields.some((field) => field === "sport" || field === "dport");
  const loads: vm.Expression[] = [];
  let word = 0;
  for (const field of set.fields) {
    const { from, offset, length } = placeOf(answers ? otherWay[field] : field, set.family);
    loads.push(vm.payload(from, offset, length, registerAt(word)));
    word += Math.ceil(length / 4);
  }
  return [
    ...(hasAddress ? familyOnly(set.family, known) : []),
    ...(hasPort ? tcpOnly(known) : []),
    ...loads,
  ];
}

/** What conntrack knows of the packet or its connection. */
function trackedExpressions(step: TrackedStep): readonly vm.Expression[] {
  const { direction, state, status } = vm.connectionKey;
  switch (step.kind) {
    case "reply": {
      const way = step.is ? directionReply : directionOriginal;
      return [vm.connection(direction), vm.cmp(vm.compare.equal, way)];
    }
    case "assured":
      return hasBit(status, statusAssured);
    case "new":
      return hasBit(state, stateNew);
    case "untracked":
      return hasBit(state, stateUnknown);
    case "translated":
      return hasBit(status, statusDestinationTranslated);
  }
}

/** Tests a bit of a conntrack word about the packet or its connection. */
function hasBit(key: number, bit: number): readonly vm.Expression[] {
  return [vm.connection(key), vm.bitsOf(u32(bit)), vm.cmp(vm.compare.notEqual, u32(0))];
}

function keepDestination(family: 4 | 6, known: KnownHeaders): readonly vm.Expression[] {
  const { from, offset, length } = placeOf("daddr", family);
  return [
    ...familyOnly(family, known),
    vm.payload(from, offset, length),
    vm.translateDestination(family),
  ];
}

function maskedIs(plan: Plan, value: number, is: boolean): readonly vm.Expression[] {
  return [vm.bitwise(u32(plan.mark.mask), u32(0)), vm.cmp(operator(is), u32(value))];
}

/** Keeps the other bits. */
function replaceMasked(plan: Plan, value: number): vm.Expression {
  return vm.bitwise(u32(~plan.mark.mask), u32(value));
}

const syn = Uint8Array.of(0x02);
const rst = Uint8Array.of(0x04);
const synAndAck = Uint8Array.of(0x12);
const directionOriginal = Uint8Array.of(0);
const directionReply = Uint8Array.of(1);
const typeLocal = 2;
/**
 * NF_CT_STATE_INVALID_BIT, NF_CT_STATE_UNTRACKED_BIT; NF_CT_STATE_BIT(IP_CT_NEW); IPS_ASSURED; IPS_DST_NAT:
 * linux/netfilter/nf_conntrack_common.h.
 */
const stateUnknown = 0x41;
const stateNew = 0x08;
const statusAssured = 0x04;
const statusDestinationTranslated = 0x20;
const loopback = {
  4: Uint8Array.of(127, 0, 0, 1),
  6: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
} as const;
