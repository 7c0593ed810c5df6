/**
 * Gives diverted packets other addresses while they are on `lo`, because rules of others may drop packets there with
 * an address of their range that did not come by their interface (Tailscale's in INPUT, WireGuard's and Docker's in
 * raw PREROUTING). Packets that leave for `lo` get unused addresses at the end of POSTROUTING; the true ones are
 * restored before they are needed: at TPROXY, and after the last filter of INPUT. Pure.
 */
import { type Mark, insideMark, ownMark } from "../rules/marks.ts";
import { bytesOf, type Cidr, type Interval } from "../../net/cidr.ts";
import * as vm from "../../netlink/expressions.ts";
import * as nftables from "../../netlink/nftables.ts";
import { loopbackIndex } from "../../netlink/route.ts";
import type { Request } from "../../netlink/socket.ts";
import { u32 } from "../../netlink/wire.ts";

export const veilTable = "tls-tproxy-veil";
/** Used by trace.ts: exists for a moment only. */
export const traceTable = "tls-tproxy-trace";

/** One batch that replaces the former table. Throws for a range that `isVeilable` rejects, which is a bug. */
export function veilBatch(mark: Mark, ranges: readonly Cidr[]): readonly Request[] {
  const answers = [ownMark(mark), insideMark(mark)];
  return nftables.batch([
    ...replaced(veilTable),
    ...chains.map((chain) => nftables.addChain(veilTable, chain)),
    ...ranges.flatMap((range) => [
      // Sources are peers' addresses: those with which the proxy answers applications, and connects to them.
      ...answers.flatMap((value) => both(marked(mark, value), "saddr", range, "input")),
      // Destinations are the peers' or the pod's own. TPROXY is the first to need them.
      ...[...answers, mark.value].flatMap((value) =>
        both(marked(mark, value), "daddr", range, "prerouting"),
      ),
    ]),
  ]);
}

/** The change and its reversal. */
function both(
  which: readonly vm.Expression[],
  way: "saddr" | "daddr",
  range: Cidr,
  back: "input" | "prerouting",
): readonly Request[] {
  return [
    add("postrouting", [...goesOut, ...which, ...rewritten(way, range, "to")]),
    add(back, [...comesIn, ...which, ...rewritten(way, range, "from")]),
  ];
}

/** For a table that may or may not exist. */
export function replaced(table: string): readonly Request[] {
  return [
    nftables.addTable(table),
    nftables.deleteTable(table),
    nftables.addTable(table, "made by tls-tproxy"),
  ];
}

/**
 * IPv4 is mapped to 240.0.0.0/4, which is unused (RFC 1112, 4), by the first four bits, so all addresses of a range
 * must be within one sixteenth. No two ranges may overlap or be mapped to the same place.
 */
export function isVeilable(range: Cidr, others: readonly Cidr[]): boolean {
  const fixed =
    range.family === 4 ? (range.first ^ range.last) >> 28n : (range.first ^ range.last) >> 125n;
  if (fixed !== 0n || changeOf(range) === 0n) return false;
  const place = imageOf(range);
  return others.every(
    (other) =>
      other.family !== range.family || (!overlap(range, other) && !overlap(place, imageOf(other))),
  );
}

function overlap(one: Interval, other: Interval): boolean {
  return one.first <= other.last && other.first <= one.last;
}

function imageOf(range: Cidr): Interval {
  const change = shifted(changeOf(range), range.family);
  return { first: range.first ^ change, last: range.last ^ change };
}

/** The change to the first four bytes. */
function changeOf({ family, first }: Cidr): bigint {
  return family === 4 ? top ^ ((first >> 28n) << 28n) : veil6;
}

function add(chain: string, expressions: readonly vm.Expression[]): Request {
  return nftables.addRule(veilTable, chain, expressions);
}

function marked({ mask }: Mark, value: number): readonly vm.Expression[] {
  return [
    vm.meta(vm.metaKey.mark),
    vm.bitwise(u32(mask), u32(0)),
    vm.cmp(vm.compare.equal, u32(value)),
  ];
}

/** Continues only if the address is in the range, or in its mapped place, and swaps it. */
function rewritten(
  way: "saddr" | "daddr",
  range: Cidr,
  direction: "to" | "from",
): readonly vm.Expression[] {
  const { family, first, last } = range;
  const length = family === 4 ? 4 : 16;
  const offset = offsets[way][family];
  const all = (1n << BigInt(8 * length)) - 1n;
  const mask = all ^ (first ^ last);
  const change = changeOf(range);
  const wanted = direction === "to" ? first : (first ^ shifted(change, family)) & mask;
  return [
    vm.meta(vm.metaKey.nfproto),
    vm.cmp(vm.compare.equal, Uint8Array.of(family === 4 ? 2 : 10)),
    vm.payload(vm.base.network, offset, length),
    vm.bitwise(bytesOf(mask, family), new Uint8Array(length)),
    vm.cmp(vm.compare.equal, bytesOf(wanted, family)),
    vm.payload(vm.base.network, offset, 4),
    vm.bitwise(new Uint8Array(4).fill(0xff), bytesOf(change, 4)),
    vm.storeAddress(offset, 4, family === 4 ? ip4ChecksumAt : null),
  ];
}

function shifted(change: bigint, family: 4 | 6): bigint {
  return family === 4 ? change : change << 96n;
}

const goesOut = [vm.meta(vm.metaKey.oif), vm.cmp(vm.compare.equal, u32(loopbackIndex))];
const comesIn = [vm.meta(vm.metaKey.iif), vm.cmp(vm.compare.equal, u32(loopbackIndex))];
const filter = (hook: "postrouting" | "prerouting" | "input", priority: number) =>
  ({ name: hook, base: { type: "filter", hook, priority } }) as const;
/** After all filters and NAT; after raw (-300), where Docker drops; after filter, security and NAT. */
const chains = [filter("postrouting", 400), filter("prerouting", -290), filter("input", 400)];
const offsets = { saddr: { 4: 12, 6: 8 }, daddr: { 4: 16, 6: 24 } } as const;
const ip4ChecksumAt = 10;
const top = 0xf0_00_00_00n;
/** Unicast (2000::/3) and unique local (fc00::/7) are mapped to unassigned blocks: RFC 4291, 2.4. */
const veil6 = 0xa0_00_00_00n;
