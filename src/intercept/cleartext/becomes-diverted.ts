/** Which cleartext connections the rules would divert. Pure. */
import { type Fixed, isByOwner } from "../rules/interception.ts";
import { keyOf } from "../kernel/open-before.ts";
import type { Tuple } from "../kernel/proc-tcp.ts";
import { isSameSocket, type SocketAddress } from "../../net/address.ts";
import type { AppliedPolicy } from "../../policy/applied-policy.ts";
import { isLeftAlone } from "../../probe/probe.ts";

/** Listening ports: a connection of one of these was begun by the other end. */
export type Listening = ReadonlySet<number>;

/**
 * Those that the new policy diverts and the old one did not. If users are a scope, only the kernel knows a
 * connection's owner, so outbound ones are left; the rules reset them when they send.
 */
export function becomesDiverted(
  before: AppliedPolicy,
  after: AppliedPolicy,
  fixed: Fixed,
  listening: Listening,
): (tuple: Tuple) => boolean {
  const isNow = isDiverted(before, fixed, listening);
  const willBe = isDiverted(after, fixed, listening);
  return (tuple) => !isNow(tuple) && willBe(tuple);
}

/** Those that this policy would divert if they began now. `dialled`: `keyOf` for those that began here in any case. */
export function isDiverted(
  policy: AppliedPolicy,
  fixed: Fixed,
  listening: Listening,
  dialled: ReadonlySet<string> = new Set(),
): (tuple: Tuple) => boolean {
  const { excludedDestinations, statusPort, probes } = fixed;
  const byOwner = isByOwner(fixed);
  return (tuple) => {
    const port = tuple.sourcePort;
    const address = destinationOf(tuple);
    if (listening.has(port) && !dialled.has(keyOf(tuple))) {
      const inClear = port === statusPort || isLeftAlone(probes, address, port);
      return !inClear && policy.mode(port) !== "passthrough";
    }
    const spared = excludedDestinations.some((one) => isSameSocket(one, address));
    return !byOwner && !spared && policy.diverts(address);
  };
}

type Destination = Pick<SocketAddress, "bytes" | "family" | "port">;

export function destinationOf({ destination, destinationPort }: Tuple): Destination {
  return {
    bytes: destination,
    family: destination.length === 4 ? 4 : 6,
    port: destinationPort,
  };
}
