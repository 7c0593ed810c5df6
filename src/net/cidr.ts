/** Address ranges as operators write them, and the disjoint intervals for the kernel's sets. */
import ipaddr from "ipaddr.js";

import { ProxyError } from "../runtime/errors.ts";
import { quote } from "../runtime/log/escape.ts";

declare const brand: unique symbol;

/** A range "10.0.0.0/8" or "fd00::/8"; host bits are cleared. Made only in this file. */
export type Cidr = {
  readonly [brand]: "Cidr";
  readonly family: 4 | 6;
  /** First address, as a number in network order. */
  readonly first: bigint;
  /** Last address, inclusive. */
  readonly last: bigint;
  readonly text: string;
};

/** An inclusive interval of addresses of one family. */
export type Interval = { readonly first: bigint; readonly last: bigint };

/** Reads a range or a single address (/32, /128); throws ADDRESS_INVALID. Octal and short forms are refused. */
export function parseCidr(text: string): Cidr {
  const [host = "", prefixText, ...rest] = text.split("/");
  const six = host.includes(":");
  const bits = six ? 128 : 32;
  const prefix = prefixText ?? String(bits);
  const valid = rest.length === 0 && isHost(host, six) && isPrefix(prefix, bits);
  if (!valid) throw new ProxyError("ADDRESS_INVALID", `not an address range: ${quote(text)}`);
  if (six && ipaddr.IPv6.parse(host).isIPv4MappedAddress())
    throw new ProxyError("ADDRESS_INVALID", `${text} is an IPv4 range: write it as one`);
  const size = 1n << BigInt(bits - Number(prefix));
  const address = addressOf(Uint8Array.from(ipaddr.parse(host).toByteArray()));
  const first = address - (address % size);
  const network = ipaddr.fromByteArray([...bytesOf(first, six ? 6 : 4)]).toString();
  return make({
    family: six ? 6 : 4,
    first,
    last: first + size - 1n,
    text: `${network}/${prefix}`,
  });
}

/** The union of the ranges of one family: sorted, disjoint, adjacent ones joined. */
export function intervalsOf(ranges: readonly Cidr[], family: 4 | 6): readonly Interval[] {
  const sorted = ranges
    .filter((range) => range.family === family)
    .toSorted((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first)));
  const union: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of sorted) {
    const previous = union.at(-1);
    if (previous === undefined || first > previous.last + 1n) union.push({ first, last });
    else if (last > previous.last) previous.last = last;
  }
  return union;
}

/** An address of `family` as its 4 or 16 bytes in network order. */
export function bytesOf(address: bigint, family: 4 | 6): Uint8Array {
  const hex = address.toString(16).padStart(family === 4 ? 8 : 32, "0");
  return Uint8Array.fromHex(hex);
}

/** 4 or 16 bytes in network order as a number, like `first` and `last` of a range. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toHex()}`);
}

function isHost(host: string, six: boolean): boolean {
  if (six) return ipaddr.IPv6.isValid(host) && !host.includes("%");
  return ipaddr.IPv4.isValidFourPartDecimal(host) && !/(^|\.)0\d/.test(host);
}

function isPrefix(text: string, bits: number): boolean {
  return /^\d{1,3}$/.test(text) && Number(text) <= bits;
}

function make(range: Omit<Cidr, typeof brand>): Cidr {
  return range as Cidr;
}
