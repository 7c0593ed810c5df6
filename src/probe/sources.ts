/** The kubelet's source addresses: those of the node, and of its end of the pod's network link. Pure. */
import { ProxyError } from "../runtime/errors.ts";
import { formatIp } from "../net/address.ts";
import { parseCidr, type Cidr } from "../net/cidr.ts";

/** `gateway`: the pod's default routes lead to the node, and on bridges the kubelet uses that address. */
export type SourceName = Cidr | "gateway";

/** Reads an address, a range or "gateway". Throws USAGE, ADDRESS_INVALID. */
export function parseSource(text: string): SourceName {
  if (text === "gateway") return text;
  const range = parseCidr(text);
  const narrowest = range.family === 4 ? 1n << 16n : 1n << 64n;
  if (range.last - range.first < narrowest) return range;
  const most = range.family === 4 ? "a /16" : "a /64";
  throw new ProxyError("USAGE", `${text} is a network, not a node: ${most} is the most`);
}

/** Gateways of the default routes in /proc/net/route: words of four bytes in host order. */
export function gateways4(text: string): readonly Cidr[] {
  return matchesOf(text, line4).map((hex) => rangeOf(Uint8Array.fromHex(hex).toReversed()));
}

/** The same for /proc/net/ipv6_route: 16 bytes in network order. */
export function gateways6(text: string): readonly Cidr[] {
  return matchesOf(text, line6).map((hex) => rangeOf(Uint8Array.fromHex(hex)));
}

/** A route without a gateway leads to a link, and has no address there. */
function matchesOf(text: string, line: RegExp): readonly string[] {
  const found = Array.from(text.matchAll(line), ([, hex = ""]) => hex);
  return [...new Set(found)].filter((hex) => /[^0]/.test(hex));
}

function rangeOf(bytes: Uint8Array): Cidr {
  return parseCidr(formatIp(bytes));
}

/** Interface, destination 0, gateway, five more fields, mask 0. */
const line4 = /^\S+\t0{8}\t([0-9A-F]{8})\t(?:\S+\t){4}0{8}\t/gm;
/** Destination ::/0, source ::/0, next hop. */
const line6 = /^0{32} 00 0{32} 00 ([0-9a-f]{32}) /gm;
