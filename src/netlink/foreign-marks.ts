/**
 * Rules of other tables, as far as they set a packet's mark or jump to other chains. linux/netfilter/nf_tables.h.
 * Pure.
 */
import { find, readAttributes } from "./wire.ts";

/** One rule: its place, and its relevant effects. */
export type MarkingRule = {
  /** With its family, as in `BaseChain`. */
  readonly table: string;
  readonly chain: string;
  /** Bits of the packet's mark that it may change. */
  readonly marks: number;
  /** Chains of the table that it may jump to; "any" for a verdict map. */
  readonly leadsTo: readonly string[] | "any";
};

/** Throws NETLINK_INVALID. */
export function readMarkingRule(payload: Uint8Array): MarkingRule {
  const attributes = new Map(readAttributes(payload.subarray(4)));
  const expressions = readAttributes(attributes.get(4) ?? new Uint8Array()).map(([, element]) =>
    expressionOf(element),
  );
  const leadsTo = expressions.map(leadsToOf);
  return {
    table: `${families.get(payload[0] ?? 0) ?? "?"} ${textOf(attributes.get(1))}`,
    chain: textOf(attributes.get(2)),
    marks: expressions.reduce((bits, _, at) => bits | marksOf(expressions, at), 0) >>> 0,
    leadsTo: leadsTo.includes("any") ? "any" : leadsTo.flatMap((one) => (one === "any" ? [] : one)),
  };
}

/** Whether the rule may change bits of our mark. */
export function touches({ marks }: MarkingRule, mask: number): boolean {
  return (marks & mask) !== 0;
}

type Expression = { readonly name: string; readonly data: ReadonlyMap<number, Uint8Array> };

function expressionOf(element: Uint8Array): Expression {
  const data = find(element, 2);
  return {
    name: textOf(find(element, 1)),
    data: new Map(data === undefined ? [] : readAttributes(data)),
  };
}

function marksOf(expressions: readonly Expression[], at: number): number {
  const expression = expressions[at];
  if (expression === undefined) return 0;
  const { name, data } = expression;
  if (name === "meta" && big(data.get(2)) === keyMark && data.has(3))
    return keptBits(expressions[at - 2], expressions[at - 1]);
  return name === "target" ? targetBits(textOf(data.get(1)), data) : 0;
}

/**
 * `meta mark set meta mark & M ^ X` keeps the bits of M that are not in X; the effect of any other value is unknown.
 */
function keptBits(load: Expression | undefined, change: Expression | undefined): number {
  if (change?.name !== "bitwise" || load?.name !== "meta") return allBits;
  if (big(load.data.get(2)) !== keyMark) return allBits;
  const [mask, xor] = [4, 5].map((type) => little(find(change.data.get(type) ?? none, 1), 0));
  return ((~(mask ?? 0) | (xor ?? allBits)) & allBits) >>> 0;
}

/** iptables-nft: xt_mark.h, xt_connmark.h. */
function targetBits(name: string, data: Expression["data"]): number {
  const info = data.get(3) ?? none;
  if (name === "MARK") return (little(info, 0) | little(info, 4)) >>> 0;
  if (name !== "CONNMARK") return 0;
  // From revision 2 on the mode comes two bytes later.
  const mode = info[big(data.get(2)) >= 2 ? 14 : 12];
  const [ctMask, nfMask] = [little(info, 4), little(info, 8)];
  return mode === modeRestore ? (ctMask | nfMask) >>> 0 : 0;
}

function leadsToOf({ name, data }: Expression): readonly string[] | "any" {
  if (name === "lookup" && data.has(3) && big(data.get(3)) === 0) return "any";
  if (name !== "immediate") return [];
  const verdict = find(data.get(2) ?? none, 2);
  const chain = verdict === undefined ? undefined : find(verdict, 2);
  return chain === undefined ? [] : [textOf(chain)];
}

function textOf(bytes: Uint8Array = none): string {
  return new TextDecoder().decode(bytes).replace(/\0$/, "");
}

function big(bytes: Uint8Array = none): number {
  return bytes.length < 4 ? -1 : Buffer.from(bytes).readUInt32BE(0);
}

/** All bits if the value is missing. */
function little(bytes: Uint8Array = none, at: number): number {
  return bytes.length < at + 4 ? allBits : Buffer.from(bytes).readUInt32LE(at);
}

const none = new Uint8Array();
const allBits = 0xff_ff_ff_ff;
/** NFT_META_MARK. */
const keyMark = 3;
/** XT_CONNMARK_RESTORE. */
const modeRestore = 2;
const families = new Map([
  [1, "inet"],
  [2, "ip"],
  [10, "ip6"],
]);
