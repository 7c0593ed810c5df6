/** The virtual machine of nf_tables: each expression as `nft` encodes it. linux/netfilter/nf_tables.h. Pure. */
import { attribute, be16, be32, nested, text, u8 } from "./wire.ts";

/** One NFTA_LIST_ELEM of a rule. */
export type Expression = Uint8Array;

/** NFT_META_…. Marks, interfaces and users are compared in host order. */
export const metaKey = {
  mark: 3,
  iif: 4,
  oif: 5,
  skuid: 10,
  skgid: 11,
  nftrace: 12,
  nfproto: 15,
  l4proto: 16,
} as const;
export const connectionKey = { state: 0, direction: 1, status: 2, mark: 3 } as const;
export const compare = { equal: 0, notEqual: 1, atMost: 3 } as const;
export const base = { network: 1, transport: 2 } as const;
/** NF_DROP, NF_ACCEPT, NFT_RETURN. */
export const verdict = { drop: 0, accept: 1, return: -5 } as const;
/** NFT_GOTO. */
const goToCode = -4;

/** Register 1, 16 bytes; register 2 follows it. */
export const register1 = 1;
const register2 = 2;
/** NFT_PAYLOAD_CSUM_INET, and NFT_PAYLOAD_L4CSUM_PSEUDOHDR: TCP's checksum is updated too. */
const checksumInternet = 1;
const pseudoHeader = 1;

export function meta(key: number): Expression {
  return expression("meta", attribute(2, be32(key)), attribute(1, be32(register1)));
}

export function setMeta(key: number): Expression {
  return expression("meta", attribute(2, be32(key)), attribute(3, be32(register1)));
}

export function connection(key: number): Expression {
  return expression("ct", attribute(2, be32(key)), attribute(1, be32(register1)));
}

export function setConnection(key: number): Expression {
  return expression("ct", attribute(2, be32(key)), attribute(4, be32(register1)));
}

/** Continues only if register 1 compares to `value` in this way. */
export function cmp(operator: number, value: Uint8Array): Expression {
  return expression(
    "cmp",
    attribute(1, be32(register1)),
    attribute(2, be32(operator)),
    data(3, value),
  );
}

/** Continues if register 1 is outside the range, ends included: linux/netfilter/nf_tables.h, nft_range_attributes. */
export function outside(first: Uint8Array, last: Uint8Array): Expression {
  return expression(
    "range",
    attribute(1, be32(register1)),
    attribute(2, be32(compare.notEqual)),
    data(3, first),
    data(4, last),
  );
}

/** Register 1 = (register 1 & mask) ^ xor. */
export function bitwise(mask: Uint8Array, xor: Uint8Array): Expression {
  return expression(
    "bitwise",
    attribute(1, be32(register1)),
    attribute(2, be32(register1)),
    attribute(6, be32(0)),
    attribute(3, be32(mask.length)),
    data(4, mask),
    data(5, xor),
  );
}

/** Register 1 = register 1 & bits, as nft encodes a test of flags: without naming the operation. */
export function bitsOf(bits: Uint8Array): Expression {
  return expression(
    "bitwise",
    attribute(1, be32(register1)),
    attribute(2, be32(register1)),
    attribute(3, be32(bits.length)),
    data(4, bits),
    data(5, new Uint8Array(bits.length)),
  );
}

/** Loads bytes of the packet's header into a register. */
export function payload(
  from: number,
  offset: number,
  length: number,
  register: number = register1,
): Expression {
  return expression(
    "payload",
    attribute(1, be32(register)),
    attribute(2, be32(from)),
    attribute(3, be32(offset)),
    attribute(4, be32(length)),
  );
}

/**
 * Stores register 1 as an address in the IP header; `checksumAt`: offset of the header's own checksum, null for IPv6,
 * which has none.
 */
export function storeAddress(
  offset: number,
  length: number,
  checksumAt: number | null,
): Expression {
  const checksum =
    checksumAt === null
      ? [attribute(6, be32(0)), attribute(7, be32(0))]
      : [attribute(6, be32(checksumInternet)), attribute(7, be32(checksumAt))];
  return expression(
    "payload",
    attribute(5, be32(register1)),
    attribute(2, be32(base.network)),
    attribute(3, be32(offset)),
    attribute(4, be32(length)),
    ...checksum,
    attribute(8, be32(pseudoHeader)),
  );
}

/** Loads `value` into register 1. */
export function load(value: Uint8Array): Expression {
  return expression("immediate", attribute(1, be32(register1)), data(2, value));
}

/** Continues only if the value from register 1 on is in the set, or is not. */
export function lookup(set: string, id: number, isIn: boolean): Expression {
  const inverted = isIn ? [] : [attribute(5, be32(1))];
  return expression(
    "lookup",
    attribute(2, be32(register1)),
    attribute(1, text(set)),
    attribute(4, be32(id)),
    ...inverted,
  );
}

/** Removes the value from register 1 on from the set; continues whether it was there or not. */
export function deleteFromSet(set: string, id: number): Expression {
  return changeSet(set, id, 2);
}

/** Adds the value; continues unless the set is full. */
export function addToSet(set: string, id: number): Expression {
  return changeSet(set, id, 0);
}

/** NFT_DYNSET_OP_…. */
function changeSet(set: string, id: number, operation: number): Expression {
  return expression(
    "dynset",
    attribute(4, be32(register1)),
    attribute(3, be32(operation)),
    attribute(1, text(set)),
    attribute(2, be32(id)),
  );
}

/** Loads the type of the destination address (RTN_LOCAL is 2) into register 1. */
export function destinationType(): Expression {
  return addressType(2);
}

/** The same for the source address. */
export function sourceType(): Expression {
  return addressType(1);
}

/** NFTA_FIB_F_SADDR, NFTA_FIB_F_DADDR; NFT_FIB_RESULT_ADDRTYPE. */
function addressType(flags: number): Expression {
  return fib(flags, 3);
}

/**
 * Loads whether the route to the destination uses the interface that the packet came in by (0, 1) into register 1.
 */
export function hasWayBackBy(): Expression {
  return fib(2 | 8 | 32, 1);
}

/**
 * Loads whether an IPv6 packet has a routing header (0, 1) into register 1. NFT_EXTHDR_OP_IPV6, NFT_EXTHDR_F_PRESENT.
 */
export function hasRoutingHeader(): Expression {
  return expression(
    "exthdr",
    attribute(1, be32(register1)),
    attribute(2, u8(43)),
    attribute(3, be32(0)),
    attribute(4, be32(1)),
    attribute(6, be32(0)),
    attribute(5, be32(1)),
  );
}

function fib(flags: number, result: number): Expression {
  return expression(
    "fib",
    attribute(3, be32(flags)),
    attribute(2, be32(result)),
    attribute(1, be32(register1)),
  );
}

/** Translates the connection's destination to the address in register 1: NFT_NAT_DNAT. */
export function translateDestination(family: 4 | 6): Expression {
  return expression(
    "nat",
    attribute(1, be32(1)),
    attribute(2, be32(family === 4 ? 2 : 10)),
    attribute(3, be32(register1)),
  );
}

export function setVerdict(code: number): Expression {
  return expression(
    "immediate",
    attribute(1, be32(0)),
    nested(2, nested(2, attribute(1, be32(code)))),
  );
}

/** Continues in another chain without returning. */
export function goTo(chain: string): Expression {
  const where = nested(2, attribute(1, be32(goToCode)), attribute(2, text(chain)));
  return expression("immediate", attribute(1, be32(0)), nested(2, where));
}

/** Loads whether the packet's socket is transparent (0, 1) into register 1; ends the rule without one. */
export function socketTransparent(): Expression {
  return expression(
    "socket",
    attribute(1, be32(0)),
    attribute(2, be32(register1)),
    attribute(3, be32(0)),
  );
}

/**
 * Loads the mark of the packet's socket into register 1; ends the rule without a socket, and for a remnant of one
 * (TIME_WAIT).
 */
export function socketMark(): Expression {
  return expression(
    "socket",
    attribute(1, be32(socketMarkKey)),
    attribute(2, be32(register1)),
    attribute(3, be32(0)),
  );
}

/** Gives the packet to the transparent socket that listens on `address`:`port`. */
export function tproxy(address: Uint8Array, port: number): readonly Expression[] {
  const family = address.length === 4 ? 2 : 10;
  return [
    expression("immediate", attribute(1, be32(register1)), data(2, address)),
    expression("immediate", attribute(1, be32(register2)), data(2, be16(port))),
    expression(
      "tproxy",
      attribute(1, be32(family)),
      attribute(2, be32(register1)),
      attribute(3, be32(register2)),
    ),
  ];
}

/** Answers with RST; TCP only. NFT_REJECT_TCP_RST. */
export function resetConnection(): Expression {
  return expression("reject", attribute(1, be32(1)), attribute(2, Uint8Array.of(0)));
}

function expression(name: string, ...attributes: readonly Uint8Array[]): Expression {
  return nested(1, attribute(1, text(name)), nested(2, ...attributes));
}

function data(type: number, value: Uint8Array): Uint8Array {
  return nested(type, attribute(1, value));
}
/** NFT_SOCKET_MARK. */
const socketMarkKey = 1;
