/** The kernel headers' names for the parts of the messages in golden files. */

/** Names of attributes by number; 0 for all others. */
export type Names = Readonly<Record<number, string>>;

export type Form = {
  readonly kind: string;
  /** Names and sizes of the headers before the attributes. */
  readonly fields: readonly (readonly [name: string, bytes: number])[];
  readonly names: Names;
};

/** For a message of this type with a body of this many bytes. */
export function formOf(type: number, bytes: number): Form {
  if (type === 21 && bytes === 56)
    return { kind: "destroy socket", fields: socketHeader, names: {} };
  const [kind, fields, names] = known[type] ?? ["message", [], {}];
  return { kind, fields, names };
}

const ofTable: Names = { 1: "table", 2: "flags", 6: "user data" };
const ofChain: Names = { 1: "table", 3: "chain", 4: "hook", 5: "policy", 7: "type" };
const ofRule: Names = { 1: "table", 2: "chain", 4: "expressions" };
const ofElements: Names = { 1: "table", 2: "set", 3: "elements", 4: "set id" };
const ofSet: Names = {
  1: "table",
  2: "set",
  3: "flags",
  4: "key type",
  5: "key length",
  9: "description",
  10: "set id",
  13: "user data",
};

/** struct nfgenmsg, ifaddrmsg, rtmsg, fib_rule_hdr, inet_diag_req_v2. */
const nfHeader = [
  ["family", 1],
  ["version", 1],
  ["resource", 2],
] as const;
const addressHeader = [
  ["family", 1],
  ["prefix length", 1],
  ["flags", 1],
  ["scope", 1],
  ["interface", 4],
] as const;
const routeHeader = [
  ["family", 1],
  ["destination length", 1],
  ["source length", 1],
  ["tos", 1],
  ["table", 1],
  ["protocol", 1],
  ["scope", 1],
  ["type", 1],
  ["flags", 4],
] as const;
const ruleHeader = [
  ["family", 1],
  ["destination length", 1],
  ["source length", 1],
  ["tos", 1],
  ["table", 1],
  ["reserved", 2],
  ["action", 1],
  ["flags", 4],
] as const;
const socketHeader = [
  ["family", 1],
  ["protocol", 1],
  ["extensions", 1],
  ["padding", 1],
  ["states", 4],
  ["source port", 2],
  ["destination port", 2],
  ["source", 16],
  ["destination", 16],
  ["interface", 4],
  ["cookie", 8],
] as const;

const ofAddress: Names = { 1: "address", 2: "local", 6: "cache info", 8: "flags" };
const ofRoute: Names = { 1: "destination", 4: "output interface", 6: "priority", 15: "table" };
const ofRoutingRule: Names = {
  3: "input interface",
  6: "priority",
  10: "mark",
  15: "table",
  16: "mask",
};

/** NFT_MSG_… below NFNL_SUBSYS_NFTABLES, and RTM_…. SOCK_DESTROY has the number of RTM_DELADDR. */
const known: Readonly<Record<number, readonly [string, Form["fields"], Names]>> = {
  20: ["new address", addressHeader, ofAddress],
  21: ["delete address", addressHeader, ofAddress],
  24: ["new route", routeHeader, ofRoute],
  25: ["delete route", routeHeader, ofRoute],
  32: ["new routing rule", ruleHeader, ofRoutingRule],
  33: ["delete routing rule", ruleHeader, ofRoutingRule],
  0x0a_00: ["new table", nfHeader, ofTable],
  0x0a_02: ["delete table", nfHeader, ofTable],
  0x0a_03: ["new chain", nfHeader, ofChain],
  0x0a_05: ["delete chain", nfHeader, ofChain],
  0x0a_06: ["new rule", nfHeader, ofRule],
  0x0a_08: ["delete rules", nfHeader, ofRule],
  0x0a_09: ["new set", nfHeader, ofSet],
  0x0a_0b: ["delete set", nfHeader, ofSet],
  0x0a_0c: ["new elements", nfHeader, ofElements],
  0x0a_0e: ["delete elements", nfHeader, ofElements],
};

/** The contents of a nested attribute with this name. */
export const inside: Readonly<Record<string, Names>> = {
  hook: { 1: "number", 2: "priority" },
  expressions: { 1: "expression" },
  description: { 1: "size" },
  elements: { 0: "element" },
  element: { 1: "key", 3: "flags", 6: "user data" },
  key: { 1: "value" },
  data: { 1: "value", 2: "verdict" },
  first: { 1: "value" },
  last: { 1: "value" },
  mask: { 1: "value" },
  xor: { 1: "value" },
  verdict: { 1: "code", 2: "chain" },
};

/** The contents of an expression with this name: NFTA_META_… and so on. */
export const expressions: Readonly<Record<string, Names>> = {
  bitwise: {
    1: "from register",
    2: "to register",
    3: "length",
    4: "mask",
    5: "xor",
    6: "operation",
  },
  cmp: { 1: "register", 2: "operator", 3: "data" },
  ct: { 1: "to register", 2: "key", 4: "from register" },
  dynset: { 1: "set", 2: "set id", 3: "operation", 4: "key register" },
  exthdr: { 1: "to register", 2: "type", 3: "offset", 4: "length", 5: "flags", 6: "operation" },
  fib: { 1: "to register", 2: "result", 3: "flags" },
  immediate: { 1: "to register", 2: "data" },
  lookup: { 1: "set", 2: "register", 4: "set id", 5: "flags" },
  meta: { 1: "to register", 2: "key", 3: "from register" },
  nat: { 1: "type", 2: "family", 3: "address register" },
  payload: {
    1: "to register",
    2: "base",
    3: "offset",
    4: "length",
    5: "from register",
    6: "checksum type",
    7: "checksum offset",
    8: "checksum flags",
  },
  range: { 1: "register", 2: "operator", 3: "first", 4: "last" },
  reject: { 1: "type", 2: "code" },
  socket: { 1: "key", 2: "to register", 3: "level" },
  tproxy: { 1: "family", 2: "address register", 3: "port register" },
};
