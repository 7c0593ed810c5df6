/** nf_tables' messages: one batch, all or nothing. linux/netfilter/nfnetlink.h, nf_tables.h. Pure. */
import type { Expression } from "./expressions.ts";
import type { Request } from "./socket.ts";
import {
  attribute,
  be16,
  be32,
  concat,
  find,
  flag,
  nested,
  readAttributes,
  readMessages,
  text,
  u32,
  u8,
} from "./wire.ts";

/** NFPROTO_INET: rules for both families. */
const inet = 1;

export type ChainForm = {
  readonly name: string;
  /** Null for a chain that is reached by jumps. */
  readonly base: {
    readonly type: "filter" | "route" | "nat";
    readonly hook: keyof typeof hooks;
    readonly priority: number;
  } | null;
};

export type KeyType = "ipv4_addr" | "ipv6_addr" | "inet_service" | "uid" | "gid";

export type SetForm = {
  readonly name: string;
  /** Identifies the set in rules of the same batch. */
  readonly id: number;
  /** More than one type: a concatenation. */
  readonly key: readonly KeyType[];
  readonly interval: boolean;
  /** For a set changed by packets, its limit. */
  readonly size: number | null;
};

/** Encloses requests so that the kernel applies all or none. */
export function batch(requests: readonly Request[]): readonly Request[] {
  return [edge(0x10), ...requests, edge(0x11)];
}

function edge(type: number): Request {
  const body = [concat(u8(0), u8(0), be16(subsystem))];
  return { type, flags: flag.request, body, about: "nf_tables batch" };
}

/** Creates the table if it does not exist; `nft list` shows the comment. */
export function addTable(table: string, comment?: string): Request {
  const data = comment === undefined ? [] : [attribute(6, commentData(comment))];
  const body = [attribute(1, text(table)), attribute(2, be32(0)), ...data];
  return request(0, flag.create, body, `add table ${table}`);
}

/** NFTNL_UDATA_TABLE_COMMENT, its length, its text. */
function commentData(comment: string): Uint8Array {
  const bytes = text(comment);
  return concat(u8(0), u8(bytes.length), bytes);
}

/** The comment of a table from an answer to `getTable`, or "". Throws NETLINK_INVALID. */
export function readComment(payload: Uint8Array): string {
  const data = find(payload.subarray(4), 6);
  if (data?.[0] !== 0) return "";
  return new TextDecoder().decode(data.subarray(2, 2 + (data[1] ?? 0))).replace(/\0$/, "");
}

/** -ENOENT if it does not exist. */
export function deleteTable(table: string): Request {
  return request(2, 0, [attribute(1, text(table))], `delete table ${table}`);
}

/** Returns the table, or -ENOENT. */
export function getTable(table: string): Request {
  return request(1, 0, [attribute(1, text(table))], `look for table ${table}`);
}

/** A chain at a hook, with policy accept; or one that is reached by jumps. */
export function addChain(table: string, { name, base }: ChainForm): Request {
  const body = [attribute(1, text(table)), attribute(3, text(name))];
  if (base !== null)
    body.push(
      attribute(7, text(base.type)),
      attribute(5, be32(accept)),
      nested(4, attribute(1, be32(hooks[base.hook])), attribute(2, be32(base.priority))),
    );
  return request(3, flag.create, body, `add chain ${name}`);
}

export function addRule(table: string, chain: string, expressions: readonly Expression[]): Request {
  const body = [attribute(1, text(table)), attribute(2, text(chain)), nested(4, ...expressions)];
  return request(6, flag.create | flag.append, body, `add rule to chain ${chain}`);
}

/** Removes all rules from a chain. */
export function flushChain(table: string, chain: string): Request {
  const body = [attribute(1, text(table)), attribute(2, text(chain))];
  return request(8, 0, body, `flush chain ${chain}`);
}

/** Deletes an empty chain. */
export function deleteChain(table: string, chain: string): Request {
  const body = [attribute(1, text(table)), attribute(3, text(chain))];
  return request(5, 0, body, `delete chain ${chain}`);
}

/** Removes all elements from a set. */
export function flushSet(table: string, set: string): Request {
  return request(14, 0, [attribute(2, text(set)), attribute(1, text(table))], `flush set ${set}`);
}

/** -EBUSY while a rule uses it. */
export function deleteSet(table: string, set: string): Request {
  return request(11, 0, [attribute(1, text(table)), attribute(2, text(set))], `delete set ${set}`);
}

export function addSet(table: string, set: SetForm): Request {
  const flags = (set.interval ? intervalFlag : 0) | (set.size === null ? 0 : evalFlag);
  const body = [
    attribute(1, text(table)),
    attribute(2, text(set.name)),
    attribute(3, be32(flags)),
    attribute(4, be32(set.key.reduce((code, type) => (code << 6) | keyTypes[type].code, 0))),
    attribute(5, be32(set.key.reduce((length, type) => length + align(keyTypes[type].length), 0))),
    attribute(10, be32(set.id)),
    ...(set.size === null ? [] : [nested(9, attribute(1, be32(set.size)))]),
    attribute(13, userData(set)),
  ];
  if (set.key.length === 1) body[4] = attribute(5, be32(keyTypes[set.key[0] ?? "uid"].length));
  return request(9, flag.create, body, `add set ${set.name}`);
}

/** Elements of a set without intervals: each has the fields of its key, in packet byte order. */
export function addElements(
  table: string,
  set: SetForm,
  elements: readonly (readonly Uint8Array[])[],
): readonly Request[] {
  const keys = elements.map((fields) =>
    fields.length === 1 ? concat(...fields) : concat(...fields.map(padded)),
  );
  return elementRequests(
    table,
    set,
    keys.map((bytes) => [key(bytes)]),
  );
}

/** Half-open intervals [first, end): sorted, disjoint; with `end` null up to the last address. */
export function addIntervals(
  table: string,
  set: SetForm,
  intervals: readonly { readonly first: Uint8Array; readonly end: Uint8Array | null }[],
): readonly Request[] {
  const [lowest] = intervals;
  if (lowest === undefined) return [];
  const below = lowest.first.every((byte) => byte === 0)
    ? []
    : [[endFlag, key(new Uint8Array(lowest.first.length))]];
  const edges = intervals.flatMap(({ first, end }) => [
    end === null ? [key(first), openFlag] : [key(first)],
    ...(end === null ? [] : [[endFlag, key(end)]]),
  ]);
  return elementRequests(table, set, [...below, ...edges]);
}

/** Requests all elements of a set; `readElements` reads the answers. */
export function listElements(table: string, set: string): Request {
  const body = [attribute(1, text(table)), attribute(2, text(set))];
  return request(13, flag.dump, body, `list set ${set}`);
}

/** Returns the chain, or -ENOENT. */
export function getChain(table: string, chain: string): Request {
  const body = [attribute(1, text(table)), attribute(3, text(chain))];
  return request(4, 0, body, `look for chain ${chain}`);
}

/** Requests all chains of all families. */
export function listChains(): Request {
  return { ...request(4, flag.dump, [], "list chains"), body: [concat(u8(0), u8(0), be16(0))] };
}

export type BaseChain = {
  /** With its family: "inet filter". */
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly hook: string;
  readonly priority: number;
  readonly policy: "accept" | "drop";
};

/** A chain at a hook that TCP packets pass here, or null for any other. Throws NETLINK_INVALID. */
export function readChain(payload: Uint8Array): BaseChain | null {
  const attributes = new Map(readAttributes(payload.subarray(4)));
  const hook = attributes.get(4);
  const of = families.get(payload[0] ?? 0);
  if (hook === undefined || of === undefined) return null;
  const word = (type: number): string =>
    new TextDecoder().decode(attributes.get(type)).replace(/\0$/, "");
  return {
    table: `${of} ${word(1)}`,
    name: word(3),
    type: word(7),
    hook: hookNames[find(hook, 1)?.at(-1) ?? -1] ?? "?",
    priority: Buffer.from(find(hook, 2) ?? be32(0)).readInt32BE(0),
    policy: attributes.get(5)?.at(-1) === 0 ? "drop" : "accept",
  };
}

/**
 * For each change in a notice: the table, the set if there is one, and the port of the socket that requested it.
 * Throws NETLINK_INVALID.
 */
export function readChanges(
  bytes: Uint8Array,
): readonly { readonly table: string; readonly set: string | null; readonly port: number }[] {
  return readMessages(bytes)
    .filter(({ type }) => type >> 8 === subsystem && changes.has(type & 0xff))
    .map(({ type, port, payload }) => {
      const attributes = new Map(readAttributes(payload.subarray(4)));
      const word = (of: number): string =>
        new TextDecoder().decode(attributes.get(of)).replace(/\0$/, "");
      return { table: word(1), set: ofSet.has(type & 0xff) ? word(2) : null, port };
    });
}

/** Requests all rules of a table, in order. */
export function listRules(table: string): Request {
  return request(7, flag.dump, [attribute(1, text(table))], `list rules of ${table}`);
}

/** Requests all sets of a table. */
export function listSets(table: string): Request {
  return request(10, flag.dump, [attribute(1, text(table))], `list sets of ${table}`);
}

/** Keys of the elements in one answer. Throws NETLINK_INVALID. */
export function readElements(payload: Uint8Array): readonly Uint8Array[] {
  const list = find(payload.subarray(4), 3);
  if (list === undefined) return [];
  return readAttributes(list).flatMap(([, element]) => {
    const wrapped = find(element, 1);
    const bytes = wrapped === undefined ? undefined : find(wrapped, 1);
    return bytes === undefined ? [] : [bytes.slice()];
  });
}

/** A message holds at most 64 KiB of elements: an attribute's length has 16 bits. */
function elementRequests(
  table: string,
  set: SetForm,
  elements: readonly (readonly Uint8Array[])[],
): readonly Request[] {
  const requests: Request[] = [];
  for (let at = 0; at < elements.length; at += elementsPerMessage) {
    const part = elements.slice(at, at + elementsPerMessage);
    const list = nested(3, ...part.map((element, index) => nested(index + 1, ...element)));
    const body = [
      attribute(1, text(table)),
      attribute(2, text(set.name)),
      attribute(4, be32(set.id)),
      list,
    ];
    requests.push(request(12, flag.create, body, `add elements to set ${set.name}`));
  }
  return requests;
}

/** struct nfgenmsg, then the attributes. */
function request(type: number, flags: number, body: readonly Uint8Array[], about: string): Request {
  const header = concat(u8(inet), u8(0), be16(0));
  const acknowledged = flags === flag.dump ? 0 : flag.ack;
  return {
    type: (subsystem << 8) | type,
    flags: flag.request | acknowledged | flags,
    body: [header, ...body],
    about,
  };
}

function key(bytes: Uint8Array): Uint8Array {
  return nested(1, attribute(1, bytes));
}

/** Fields of a concatenation are aligned to four bytes. */
function padded(field: Uint8Array): Uint8Array {
  return concat(field, new Uint8Array(align(field.length) - field.length));
}

function align(length: number): number {
  return (length + 3) & ~3;
}

/** `nft`'s data for listing only: the byte order of the key, and for concatenations its type. */
function userData(set: SetForm): Uint8Array {
  const [only] = set.key;
  if (set.key.length > 1) return concat(keyOrder(0), concatenationType);
  return keyOrder(only === "uid" || only === "gid" ? hostOrder : networkOrder);
}

function keyOrder(order: number): Uint8Array {
  return concat(u8(0), u8(4), u32(order));
}

/** NFT_MSG_NEW… and NFT_MSG_DEL… of tables, chains, rules, sets and elements: attribute 1 of each is the table. */
const changes = new Set([0, 2, 3, 5, 6, 8, 9, 11, 12, 14]);
const ofSet = new Set([9, 11, 12, 14]);
const subsystem = 10;
const accept = 1;
const intervalFlag = 0x4;
const evalFlag = 0x20;
const elementsPerMessage = 500;
const hostOrder = 1;
const networkOrder = 2;
/** NFT_SET_ELEM_INTERVAL_END. */
const endFlag = attribute(3, be32(1));
/** NFTNL_UDATA_SET_ELEM_FLAGS: tells nft that an interval has no end element. */
const openFlag = attribute(6, u8(1), u8(4), u32(1));
/** NFTNL_UDATA_SET_KEY_TYPEOF as written by nft 1.0.6 for any concatenation that ends with a port. */
const concatenationType = Uint8Array.of(3, 8, 0, 4, 13, 0, 0, 0, 1, 0);
/** NFPROTO_…, NF_INET_…: linux/netfilter.h. */
const families = new Map([
  [1, "inet"],
  [2, "ip"],
  [10, "ip6"],
]);
const hookNames = ["prerouting", "input", "forward", "output", "postrouting"];
const hooks = { prerouting: 0, input: 1, output: 3, postrouting: 4 } as const;
/** `nft`'s numbers for the types, and their sizes in bytes. */
const keyTypes = {
  ipv4_addr: { code: 7, length: 4 },
  ipv6_addr: { code: 8, length: 16 },
  inet_service: { code: 13, length: 2 },
  uid: { code: 24, length: 4 },
  gid: { code: 25, length: 4 },
} as const;
