/** Which connections in clear the rules would divert. Pure. */
import { type Fixed, isByOwner } from "../rules/interception.ts";
import type { Tuple } from "../kernel/open-before.ts";
import { isSameSocket, type SocketAddress } from "../../net/address.ts";
import type { Rules } from "../../policy/rules.ts";
import { isLeftAlone } from "../../probe/probe.ts";

/** Ports that somebody listens on: a connection of one of these has begun at the other end. */
export type Listening = ReadonlySet<number>;

/**
 * Those that new rules would divert and the old ones did not. Where users are a scope the kernel alone knows whose a
 * connection is, so outbound ones stay then; the rules reset them when they speak.
 */
export function becomesDiverted(
  before: Rules,
  after: Rules,
  fixed: Fixed,
  listening: Listening,
): (tuple: Tuple) => boolean {
  const isNow = isDiverted(before, fixed, listening);
  const willBe = isDiverted(after, fixed, listening);
  return (tuple) => !isNow(tuple) && willBe(tuple);
}

/** Those that these rules divert, had they stood when they began. */
export function isDiverted(
  rules: Rules,
  fixed: Fixed,
  listening: Listening,
): (tuple: Tuple) => boolean {
  const { excludedDestinations, statusPort, probes } = fixed;
  const byOwner = isByOwner(fixed);
  return (tuple) => {
    const port = tuple.sourcePort;
    const address = destinationOf(tuple);
    if (listening.has(port)) {
      const inClear = port === statusPort || isLeftAlone(probes, address, port);
      return !inClear && rules.mode(port) !== "passthrough";
    }
    const spared = excludedDestinations.some((one) => isSameSocket(one, address));
    return !byOwner && !spared && rules.diverts(address);
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
