/** Option values: text in, checked value out. The error for a wrong one says what is expected. */
import { InvalidArgumentError } from "commander";

import type { Mark } from "../intercept/rules/marks.ts";
import { ProxyError } from "../runtime/errors.ts";
import { isTrustDomain, parseSpiffeId, type SpiffeId } from "../identity/spiffe-id.ts";
import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatIp,
  parseHost,
  parseSocketAddress,
  type SocketAddress,
} from "../net/address.ts";
import { parseCidr, type Cidr } from "../net/cidr.ts";
import { parsePortRange, type Ports } from "../net/ports.ts";
import { sparePorts } from "../net/wire-ports.ts";
import { idOf } from "./accounts.ts";
import { defaultMeshRanges } from "../policy/policy.ts";

/** A path that is not read yet. */
export function file(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must be the path of a PEM file.");
  return text;
}

/** Repeated and comma-separated values are combined; the first given value replaces a default. */
export function list<T>(parse: (text: string) => T): (text: string, before: unknown) => T[] {
  const collected: T[] = [];
  return (text) => {
    collected.push(...text.split(",").map((item) => parse(item.trim())));
    return [...collected];
  };
}

export function port(text: string): number {
  return integer(text, 1, 65_535, "a port, 1 to 65535");
}

/** "8080" or "8000-8100". */
export function portRange(text: string): Ports {
  return orInvalid(() => parsePortRange(text), "a port, 1 to 65535, or a range like 8000-8100");
}

/** "20000-23999", for `--wire-ports`. */
export function wirePorts(text: string): Ports {
  const { first, last } = portRange(text);
  const overlaps = first <= sparePorts.last && sparePorts.first <= last;
  if (first >= 1024 && !overlaps) return { first, last };
  throw new InvalidArgumentError(
    `It must be a range like 20000-23999, from 1024 on and without ${sparePorts.first} to ${sparePorts.last}, ` +
      "which stand for clients whose own port is not kept.",
  );
}

/** A list of ports, or "none". */
export function portsOrNone(): (text: string, before: unknown) => Ports[] | "none" {
  return orNone(list(portRange), "none", "ports");
}

/** A number, or a name of /etc/passwd. */
export function uid(text: string): number {
  return owner(text, "/etc/passwd", "user");
}

/** A number, or a name of /etc/group. */
export function gid(text: string): number {
  return owner(text, "/etc/group", "group");
}

/** Both files have the name first and its number third: passwd(5), group(5). */
function owner(text: string, accounts: string, what: "user" | "group"): number {
  if (/^\d+$/.test(text)) return integer(text, 0, 4_294_967_294, `a ${what} id, 0 to 4294967294`);
  const id = idOf(accounts, text);
  if (id !== null) return id;
  throw new InvalidArgumentError(
    `It must be the number of a ${what}, or a name in ${accounts}, which has no such ${what} here.`,
  );
}

/** One path component. */
export function fileName(text: string): string {
  if (/^[\w-][\w.-]{0,100}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be a name of letters, digits, dots and dashes.");
}

/** A path of a file or folder: anything but an empty one. */
export function path(text: string): string {
  if (text !== "") return text;
  throw new InvalidArgumentError("It must be a path.");
}

export function spiffeId(text: string): SpiffeId {
  return orInvalid(() => parseSpiffeId(text), "a SPIFFE ID like spiffe://example.org/ns/a/sa/b");
}

/** An address as text, in its shortest form. */
export function ip(text: string): string {
  return orInvalid(() => formatIp(parseHost(text)), "an address like 10.0.0.1 or fd00::1");
}

export function socketAddress(text: string): SocketAddress {
  // As in the kernel, an IPv4-mapped IPv6 address becomes an IPv4 address.
  const parse = (): SocketAddress =>
    decodeSocketAddress(encodeSocketAddress(parseSocketAddress(text)));
  return orInvalid(parse, "like 10.0.0.1:80 or [fd00::1]:80");
}

export function dnsName(text: string): string {
  if (/^(\*\.)?[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,10}$/i.test(text)) return text;
  throw new InvalidArgumentError("It must be a host name like db.example.org.");
}

export function days(text: string): number {
  return integer(text, 1, 3650, "a number of days, 1 to 3650");
}

export function verbosity(text: string): number {
  return integer(text, 0, 9, "0 to 9");
}

export function cidr(text: string): Cidr {
  return orInvalid(() => parseCidr(text), "an address range like 10.0.0.0/8 or fd00::/8");
}

/** Ranges, among which "default" means the private ones; or "none". */
export function meshRanges(): (text: string, before: unknown) => readonly Cidr[] {
  const ranges = list((text) => (text === "default" ? defaultMeshRanges : [cidr(text)]));
  return orNone((text, before) => distinct(ranges(text, before).flat()), [], "ranges");
}

/** "none" must be the only value: beside others it would be unclear which is meant. */
function orNone<T, N>(
  parse: (text: string, before: unknown) => T,
  none: N,
  what: string,
): (text: string, before: unknown) => T | N {
  let said: boolean | null = null;
  return (text, before) => {
    const isNone = text === "none";
    if (said !== null && said !== isNone)
      throw new InvalidArgumentError(`It must be either none or ${what}, not both.`);
    said = isNone;
    return isNone ? none : parse(text, before);
  };
}

function distinct(ranges: readonly Cidr[]): readonly Cidr[] {
  return [...new Map(ranges.map((range) => [range.text, range])).values()];
}

export const verification = oneOf("ip", "spiffe");

/** One of these words. */
export function oneOf<T extends string>(...words: readonly T[]): Choice<T> {
  const parse = (text: string): T => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    const last = words.at(-1);
    throw new InvalidArgumentError(`It must be ${words.slice(0, -1).join(", ")} or ${last}.`);
  };
  return Object.assign(parse, { words });
}

/** A parser with the words that it accepts, for completions. */
export type Choice<T extends string> = ((text: string) => T) & { readonly words: readonly T[] };

export function trustDomain(text: string): string {
  if (isTrustDomain(text)) return text;
  throw new InvalidArgumentError("It must be a trust domain like example.org, in lower case.");
}

export const tlsVersion = oneOf("1.2", "1.3");

export function count(text: string): number {
  return integer(text, 1, 1_000_000, "a count, 1 to 1000000");
}

/** Bytes: "64MiB", "64Mi", "64m", "1GiB" or a number of bytes: at least 32 MiB. */
export function bytes(text: string): number {
  const match = /^(\d{1,15})(?:([kmgt])(?:i?b?)?)?$/i.exec(text);
  const power = match?.[2] === undefined ? 0 : 1 + "kmgt".indexOf(match[2].toLowerCase());
  const value = Number(match?.[1]) * 1024 ** power;
  if (value >= sizeMin && value <= Number.MAX_SAFE_INTEGER) return value;
  throw new InvalidArgumentError("It must be a size like 64MiB or 1GiB, at least 32MiB.");
}

export const logFormat = oneOf("text", "json");

/** "500ms", "10s", "5m" or "1h" in milliseconds: at least one, at most a week. */
export function duration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const value = Number(match?.[1]) * (units.get(match?.[2] ?? "") ?? 0);
  if (value >= 1 && value <= weekMs) return value;
  throw new InvalidArgumentError("It must be a duration like 500ms, 10s, 5m or 1h.");
}

/** Like `duration`, but refuses values too short to be useful. */
export function durationOf(minMs: number, mayBeNone = false): (text: string) => number | null {
  return (text) => {
    const value = mayBeNone ? durationOrNone(text) : duration(text);
    if (value === null || value >= minMs) return value;
    throw new InvalidArgumentError(`It must be ${formatDuration(minMs)} or longer.`);
  };
}

/** Like `duration`; null for "none". */
export function durationOrNone(text: string): number | null {
  if (text === "none") return null;
  try {
    return duration(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError("It must be a duration like 500ms, 10s, 5m or 1h, or none.");
  }
}

/** In the format that `duration` reads, in the largest unit without a fraction. */
export function formatDuration(milliseconds: number | null): string {
  if (milliseconds === null) return "none";
  for (const [unit, size] of [...units].toReversed())
    if (milliseconds % size === 0 && (unit !== "m" || milliseconds > 300_000))
      return `${milliseconds / size}${unit}`;
  return `${milliseconds}ms`;
}

export function boolean(text: string): boolean {
  if (["true", "1", "yes"].includes(text)) return true;
  if (["false", "0", "no"].includes(text)) return false;
  throw new InvalidArgumentError("It must be true or false.");
}

/** ":15020" means all addresses of both families. */
export function statusAddress(text: string): SocketAddress {
  const full = text.startsWith(":") ? `[::]${text}` : text;
  const address = orInvalid(
    () => parseSocketAddress(full),
    "an address like :15020 or [::1]:15020",
  );
  port(String(address.port));
  return address;
}

/** "0xa/0xf": `value/mask`, where the value is within the mask, and neither value nor complement is zero. */
export function mark(text: string): Mark {
  const match = /^(0x[0-9a-f]{1,8}|\d{1,10})\/(0x[0-9a-f]{1,8}|\d{1,10})$/i.exec(text);
  const value = Number(match?.[1]);
  const mask = Number(match?.[2]);
  const inside = value > 0 && mask <= 0xff_ff_ff_ff && (value & ~mask) === 0 && value !== mask;
  if (match !== null && inside) return { value, mask };
  throw new InvalidArgumentError(
    "It must be value/mask like 0xa/0xf: the value inside the mask, neither 0 nor the whole mask.",
  );
}

const units = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);
const sizeMin = 32 * 1024 ** 2;
const weekMs = 7 * 24 * 3_600_000;

function integer(text: string, min: number, max: number, wanted: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= min && value <= max) return value;
  throw new InvalidArgumentError(`It must be ${wanted}.`);
}

function orInvalid<T>(parse: () => T, wanted: string): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ProxyError) throw new InvalidArgumentError(`It must be ${wanted}.`);
    throw error;
  }
}
