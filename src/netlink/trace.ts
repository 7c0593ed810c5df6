/** Notices of traced packets: linux/netfilter/nf_tables.h, NFT_MSG_TRACE. Pure. */
import { find, readAttributes, readMessages } from "./wire.ts";

/** The verdict of a rule, or of a chain's policy, on a packet. */
export type TraceVerdict = {
  /** With its family: "ip filter". */
  readonly table: string;
  readonly chain: string;
  /** Null for the policy. */
  readonly handle: number | null;
  readonly isDrop: boolean;
};

/** The verdicts in a datagram of notices; ignores other notices. Throws NETLINK_INVALID. */
export function readVerdicts(bytes: Uint8Array): readonly TraceVerdict[] {
  return readMessages(bytes)
    .filter(({ type }) => type === traceMessage)
    .map(({ payload }) => verdictOf(payload))
    .filter((verdict) => verdict !== null);
}

function verdictOf(payload: Uint8Array): TraceVerdict | null {
  const attributes = new Map(readAttributes(payload.subarray(4)));
  const word = (type: number): string =>
    new TextDecoder().decode(attributes.get(type)).replace(/\0$/, "");
  const kind = attributes.get(4)?.at(-1);
  if (kind !== kinds.policy && kind !== kinds.rule) return null;
  const where = { table: `${families.get(payload[0] ?? 0) ?? "?"} ${word(1)}`, chain: word(2) };
  if (kind === kinds.policy) {
    const isDrop = attributes.get(16)?.at(-1) === 0;
    return { ...where, handle: null, isDrop };
  }
  const code = find(attributes.get(5) ?? new Uint8Array(0), 1);
  const handle = attributes.get(3);
  const isDrop = code !== undefined && code.every((byte) => byte === 0);
  return { ...where, handle: handle === undefined ? null : numberOf(handle), isDrop };
}

/** In network order. */
function numberOf(bytes: Uint8Array): number {
  return Number(BigInt(`0x${bytes.toHex() || "0"}`));
}

const traceMessage = (10 << 8) | 17;
const kinds = { policy: 1, rule: 3 } as const;
/** NFPROTO_…: linux/netfilter.h. */
const families = new Map([
  [1, "inet"],
  [2, "ip"],
  [5, "netdev"],
  [10, "ip6"],
]);
