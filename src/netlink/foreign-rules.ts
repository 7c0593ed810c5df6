/** Describes rules of others, as far as possible: linux/netfilter/nf_tables.h. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { parseCidr, type Cidr } from "../net/cidr.ts";
import type { Request } from "./socket.ts";
import { be16, concat, find, flag, readAttributes, u8 } from "./wire.ts";

export type ForeignRule = {
  /** With its family: "ip filter". */
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  /** In nft's notation, except for unknown expressions. */
  readonly text: string;
  /** Addresses and ranges that the rule compares with. */
  readonly ranges: readonly Cidr[];
};

/** Requests all rules of all families. */
export function listAllRules(): Request {
  const body = [concat(u8(0), u8(0), be16(0))];
  return { type: (10 << 8) | 7, flags: flag.request | flag.dump, body, about: "list rules" };
}

/** Null for an answer that is not an IPv4 or IPv6 rule. Throws NETLINK_INVALID. */
export function readForeignRule(payload: Uint8Array): ForeignRule | null {
  const family = families.get(payload[0] ?? 0);
  const attributes = new Map(readAttributes(payload.subarray(4)));
  const handle = attributes.get(3);
  if (family === undefined || handle === undefined) return null;
  const words: string[] = [];
  const ranges: Cidr[] = [];
  let field: Field = unknown;
  for (const [, element] of readAttributes(attributes.get(4) ?? new Uint8Array(0))) {
    const name = textOf(find(element, 1));
    const data = new Map(readAttributes(find(element, 2) ?? new Uint8Array(0)));
    if (name === "meta" || name === "payload" || name === "ct") field = fieldOf(name, data);
    else if (name === "bitwise") field = { ...field, mask: valueOf(data.get(4)) };
    else if (name === "cmp") {
      const value = valueOf(data.get(3));
      if (field.isAddress) ranges.push(...rangeOf(addressText(value, field.mask)));
      words.push(comparison(field, data.get(2)?.at(-1) ?? 0, value));
    } else words.push(...wordsOf(name, data, field));
  }
  const table = `${family} ${textOf(attributes.get(1))}`;
  const number = Number(BigInt(`0x${handle.toHex()}`));
  return {
    table,
    chain: textOf(attributes.get(2)),
    handle: number,
    text: words.join(" "),
    ranges,
  };
}

/** The content of a register. */
type Field = {
  readonly name: string;
  readonly isAddress: boolean;
  /** A name, as text bytes. */
  readonly isText: boolean;
  /** In network order. */
  readonly isBig: boolean;
  readonly mask: Uint8Array | null;
};

const unknown: Field = { name: "…", isAddress: false, isText: false, isBig: true, mask: null };

function fieldOf(kind: "meta" | "payload" | "ct", data: ReadonlyMap<number, Uint8Array>): Field {
  if (kind === "ct") return { ...unknown, name: "ct" };
  if (kind === "meta") {
    const name = metas.get(data.get(2)?.at(-1) ?? -1) ?? "meta …";
    return { ...unknown, name, isText: name.endsWith("name"), isBig: false };
  }
  const at = `${data.get(2)?.at(-1) ?? 0}:${data.get(3)?.at(-1) ?? 0}`;
  const name = payloads.get(at) ?? "payload …";
  return { ...unknown, name, isAddress: name.includes("addr") };
}

function comparison(field: Field, operator: number, value: Uint8Array): string {
  const sign = signs[operator] ?? "?";
  return `${field.name} ${sign === "" ? "" : `${sign} `}${shown(field, value)}`;
}

function shown({ isAddress, isText, isBig, mask }: Field, value: Uint8Array): string {
  if (isText) return `"${textOf(value)}"`;
  if (isAddress) return addressText(value, mask);
  const bytes = isBig ? value : value.toReversed();
  const number = BigInt(`0x${bytes.toHex() || "0"}`);
  return mask === null ? String(number) : `0x${number.toString(16)} (masked)`;
}

/** A prefix of whole bytes is compared by these only. */
function addressText(value: Uint8Array, mask: Uint8Array | null): string {
  const length = value.length <= 4 ? 4 : 16;
  const whole = concat(value, new Uint8Array(length - value.length));
  const bits =
    mask === null
      ? value.length * 8
      : [...mask].reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
  const text =
    length === 4
      ? whole.join(".")
      : (whole.toHex().match(/..../g) ?? []).map((word) => word.replace(/^0{1,3}/, "")).join(":");
  return bits === length * 8 ? text : `${text}/${bits}`;
}

/** Empty if it is not a range: IPv4 in IPv6, a non-contiguous mask. */
function rangeOf(text: string): readonly Cidr[] {
  try {
    return [parseCidr(text)];
  } catch (error) {
    if (error instanceof ProxyError) return [];
    throw error;
  }
}

function wordsOf(
  name: string,
  data: ReadonlyMap<number, Uint8Array>,
  field: Field,
): readonly string[] {
  switch (name) {
    case "counter":
      return [];
    case "immediate":
      return verdictOf(data.get(2));
    case "lookup":
      return [`${field.name} in @${textOf(data.get(1))}`];
    case "match":
    case "target":
      return [`xt ${name} ${textOf(data.get(1))}`];
    default:
      return [name];
  }
}

/** NFTA_DATA_VERDICT: its code and the target chain. */
function verdictOf(data: Uint8Array | undefined): readonly string[] {
  const verdict = data === undefined ? undefined : find(data, 2);
  const code = verdict === undefined ? undefined : find(verdict, 1);
  if (verdict === undefined || code === undefined) return [];
  const number = new DataView(code.buffer, code.byteOffset).getInt32(0);
  const chain = textOf(find(verdict, 2));
  return [`${verdicts.get(number) ?? number}${chain === "" ? "" : ` ${chain}`}`];
}

/** NFTA_DATA_VALUE. */
function valueOf(data: Uint8Array | undefined): Uint8Array {
  return (data === undefined ? undefined : find(data, 1)) ?? new Uint8Array(0);
}

function textOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes).replace(/\0+$/, "");
}

/** NFPROTO_…: linux/netfilter.h. */
const families = new Map([
  [1, "inet"],
  [2, "ip"],
  [10, "ip6"],
]);
/** NFT_META_…. */
const metas = new Map([
  [3, "meta mark"],
  [4, "iif"],
  [5, "oif"],
  [6, "iifname"],
  [7, "oifname"],
  [10, "meta skuid"],
  [15, "meta nfproto"],
  [16, "meta l4proto"],
]);
/** By NFT_PAYLOAD_… header and offset. */
const payloads = new Map([
  ["1:8", "ip6 saddr"],
  ["1:9", "ip protocol"],
  ["1:12", "ip saddr"],
  ["1:16", "ip daddr"],
  ["1:24", "ip6 daddr"],
  ["2:0", "sport"],
  ["2:2", "dport"],
  ["2:13", "tcp flags"],
]);
/** NFT_CMP_…. */
const signs = ["", "!=", "<", "<=", ">", ">="];
const verdicts = new Map([
  [0, "drop"],
  [1, "accept"],
  [-3, "jump"],
  [-4, "goto"],
  [-5, "return"],
]);
