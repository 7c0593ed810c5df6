/**
 * Our own name servers, whose TCP port 53 is left alone: long answers come over TCP, and they are seldom peers. Pure.
 */
import { ProxyError } from "../runtime/errors.ts";
import {
  decodeSocketAddress,
  distinctSockets,
  encodeSocketAddress,
  formatIp,
  parseSocketAddress,
  type SocketAddress,
} from "../net/address.ts";
import { addressOf } from "../net/cidr.ts";
import { contains, isMeshDestination, type Policy } from "./policy.ts";

/** Port 53 of the addresses in a resolv.conf(5). Link-local ones have a zone, and are never diverted. */
export function parseResolvers(text: string): readonly SocketAddress[] {
  const hosts = Array.from(text.matchAll(line), ([, host = ""]) => host);
  return distinctSockets(hosts.slice(0, resolversMax).flatMap(parsed));
}

/** The policy with the name servers that it would otherwise divert, and that no rule names. */
export function withResolvers(policy: Policy, resolvers: readonly SocketAddress[]): Policy {
  const { outbound } = policy;
  const bare = { ...policy, outbound: { ...outbound, resolvers: [] } };
  if (outbound.dnsTcp.value === "intercept") return bare;
  const left = resolvers.filter((one) => isMeshDestination(bare, one) && !isNamed(bare, one));
  return { ...policy, outbound: { ...outbound, resolvers: left } };
}

/** Describes what is left alone. */
export function resolversText(resolvers: readonly SocketAddress[], file: string): string {
  const hosts = resolvers.map(({ bytes }) => formatIp(bytes)).join(", ");
  return `TCP port 53 of ${hosts} (${file}) is left alone, in cleartext`;
}

/** True for a rule of its own, or a mesh range that is exactly this address. */
function isNamed(policy: Policy, { bytes, family }: SocketAddress): boolean {
  const address = addressOf(bytes);
  if (policy.outbound.expect.some(({ to }) => contains(to, address, family))) return true;
  return policy.outbound.mesh.value.some(
    (range) => range.first === range.last && contains(range, address, family),
  );
}

function parsed(host: string): readonly SocketAddress[] {
  try {
    const text = host.includes(":") ? `[${host}]:53` : `${host}:53`;
    return [decodeSocketAddress(encodeSocketAddress(parseSocketAddress(text)))];
  } catch (error) {
    if (error instanceof ProxyError) return [];
    throw error;
  }
}

/** The keyword begins the line; text after the address is a comment. */
const line = /^nameserver[ \t]+([^\s#;]+)/gm;
/** More than any resolver queries. */
const resolversMax = 64;
