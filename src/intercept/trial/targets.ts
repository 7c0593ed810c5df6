/**
 * The targets of trial connections: an address for each range of the mesh, and for each of the pod's own networks in
 * it. Pure.
 */
import type { Fixed } from "../rules/interception.ts";
import {
  formatIp,
  isSameSocket,
  parseSocketAddress,
  type SocketAddress,
} from "../../net/address.ts";
import { addressOf, bytesOf, parseCidr, type Cidr } from "../../net/cidr.ts";
import { contains, isMeshDestination, type Policy } from "../../policy/policy.ts";

export type Target = {
  /** The range that the address represents. */
  readonly range: Cidr;
  readonly address: SocketAddress;
};

/** The pod's addresses with their networks. */
export type Local = { readonly address: Uint8Array; readonly network: Cidr };

export type KnownAddresses = {
  readonly locals: readonly Local[];
  /** Addresses in rules of others: Docker has one for each container. */
  readonly named: readonly Cidr[];
};

/** Narrow ranges come after those that contain them. */
export function trialTargets(
  policy: Policy,
  { excludedDestinations }: Fixed,
  { locals, named }: KnownAddresses,
): readonly Target[] {
  const mesh = policy.outbound.mesh.value;
  const own = new Set(locals.map(({ address }) => formatIp(address)));
  const networks = locals.map(({ network }) => network).filter((one) => one.first !== one.last);
  const ports = portsOf(policy);
  const isDiverted = (address: SocketAddress): boolean =>
    isMeshDestination(policy, address) &&
    !loopback.some((range) => contains(range, addressOf(address.bytes), address.family)) &&
    !own.has(formatIp(address.bytes)) &&
    !excludedDestinations.some((one) => isSameSocket(one, address));
  const ranges = new Map(
    [...mesh, ...networks, ...named.slice(0, namedMax)].map((range) => [range.text, range]),
  );
  return [...ranges.values()]
    .flatMap((range) => {
      const address = candidatesIn(range, ports).find(isDiverted);
      return address === undefined ? [] : [{ range, address }];
    })
    .slice(0, targetsMax);
}

/** The range's ends, except the network's own address and the broadcast address. */
function candidatesIn(
  { family, first, last }: Cidr,
  ports: readonly number[],
): readonly SocketAddress[] {
  const numbers = [last - 1n, last - 2n, first + 1n, first + 2n, last, first];
  const inside = numbers.filter((one) => first <= one && one <= last);
  return ports.flatMap((port) =>
    inside.map((one) => {
      const host = formatIp(bytesOf(one, family));
      return parseSocketAddress(family === 4 ? `${host}:${port}` : `[${host}]:${port}`);
    }),
  );
}

/** Whether `outer` contains all of `inner`. */
export function holds(outer: Cidr, inner: Cidr): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

/** Typical application ports, or others if the first ones are excluded; only ports in the scope. */
function portsOf({ outbound: { ports } }: Policy): readonly number[] {
  if (ports.value === "all") return [443, 80, 8443, 4443];
  return ports.value.slice(0, portsMax).flatMap(({ first, last }) => [first, last]);
}

const loopback = ["127.0.0.0/8", "::1"].map(parseCidr);
const portsMax = 4;
const targetsMax = 64;
const namedMax = 256;
