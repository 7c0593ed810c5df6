/** Expressions for packet headers. Pure. */
import { bytesOf, type Interval } from "../../net/cidr.ts";
import * as vm from "../../netlink/expressions.ts";
import { be16 } from "../../netlink/wire.ts";
import type { Field } from "../rules/rule.ts";

/** What a rule has already checked, so that it is not checked twice. */
export type KnownHeaders = { family: 4 | 6 | null; tcp: boolean };

/** Registers of four bytes are numbered from 8; those at the start of sixteen bytes keep their old numbers. */
export function registerAt(word: number): number {
  return word % 4 === 0 ? 1 + word / 4 : 8 + word;
}

export function placeOf(
  field: Field,
  family: 4 | 6,
): { from: number; offset: number; length: number } {
  switch (field) {
    case "saddr":
      return {
        from: vm.base.network,
        offset: family === 4 ? 12 : 8,
        length: family === 4 ? 4 : 16,
      };
    case "daddr":
      return {
        from: vm.base.network,
        offset: family === 4 ? 16 : 24,
        length: family === 4 ? 4 : 16,
      };
    case "sport":
      return { from: vm.base.transport, offset: 0, length: 2 };
    case "dport":
      return { from: vm.base.transport, offset: 2, length: 2 };
    case "uid":
    case "gid":
      throw new Error("a user is not in the packet");
  }
}

export function familyOnly(family: 4 | 6, known: KnownHeaders): readonly vm.Expression[] {
  if (known.family === family) return [];
  known.family = family;
  return [
    vm.meta(vm.metaKey.nfproto),
    vm.cmp(vm.compare.equal, Uint8Array.of(family === 4 ? 2 : 10)),
  ];
}

export function tcpOnly(known: KnownHeaders): readonly vm.Expression[] {
  if (known.tcp) return [];
  known.tcp = true;
  return [vm.meta(vm.metaKey.l4proto), vm.cmp(vm.compare.equal, protocolTcp)];
}

/** TCP's flags, in byte 13 of its header: RFC 9293, 3.1. */
export function flagsAre(
  known: KnownHeaders,
  mask: Uint8Array,
  value: Uint8Array,
  is = true,
): readonly vm.Expression[] {
  return [
    ...tcpOnly(known),
    vm.payload(vm.base.transport, 13, 1),
    vm.bitwise(mask, Uint8Array.of(0)),
    vm.cmp(operator(is), value),
  ];
}

/**
 * TCP's data offset, and IP's length, which for IPv4 includes its own header: RFC 9293, 3.1; RFC 791, 3.1; RFC 8200,
 * 3.
 */
export function headersAre(
  known: KnownHeaders,
  family: 4 | 6,
  words: number,
): readonly vm.Expression[] {
  const length = 4 * words + (family === 4 ? 20 : 0);
  return [
    ...tcpOnly(known),
    vm.payload(vm.base.transport, 12, 1),
    vm.bitwise(Uint8Array.of(0xf0), Uint8Array.of(0)),
    vm.cmp(vm.compare.equal, Uint8Array.of(words << 4)),
    ...familyOnly(family, known),
    vm.payload(vm.base.network, family === 4 ? 2 : 4, 2),
    vm.cmp(vm.compare.equal, be16(length)),
  ];
}

export function operator(is: boolean): number {
  return is ? vm.compare.equal : vm.compare.notEqual;
}

export const protocolTcp = Uint8Array.of(6);

/**
 * A routing header; or IPv4 options, among which an application may set those of source routing. Not security labels:
 * only the kernel writes CIPSO, and writes it first (RFC 791, 3.1; FIPS 188).
 */
export function headersSteer(known: KnownHeaders, family: 4 | 6): readonly vm.Expression[] {
  const dependency = familyOnly(family, known);
  if (family === 6)
    return [...dependency, vm.hasRoutingHeader(), vm.cmp(vm.compare.equal, Uint8Array.of(1))];
  return [
    ...dependency,
    vm.payload(vm.base.network, 0, 1),
    vm.bitwise(Uint8Array.of(0x0f), Uint8Array.of(0)),
    vm.cmp(vm.compare.notEqual, Uint8Array.of(5)),
    vm.payload(vm.base.network, 20, 1),
    vm.cmp(vm.compare.notEqual, Uint8Array.of(optionCipso)),
  ];
}

/** The destination is in none of the intervals. */
export function destinationOutside(
  known: KnownHeaders,
  family: 4 | 6,
  intervals: readonly Interval[],
): readonly vm.Expression[] {
  const { from, offset, length } = placeOf("daddr", family);
  const load = vm.payload(from, offset, length);
  return [
    ...familyOnly(family, known),
    ...intervals.flatMap((interval) => {
      const [first, last] = [bytesOf(interval.first, family), bytesOf(interval.last, family)];
      const isOne = interval.first === interval.last;
      return [load, isOne ? vm.cmp(vm.compare.notEqual, first) : vm.outside(first, last)];
    }),
  ];
}

/** IPOPT_CIPSO: linux/ip.h. */
const optionCipso = 134;
