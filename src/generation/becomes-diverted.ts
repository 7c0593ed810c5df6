/** Which connections are in clear and would be diverted by new rules. Pure. */
import type { Fixed } from "../config.ts";
import type { Tuple } from "../intercept/open-before.ts";
import { formatIp, type SocketAddress } from "../net/address.ts";
import type { Rules } from "../policy/rules.ts";

/**
 * `carried`: the proxy's own ends, "10.0.0.1:80 10.0.0.2:4000". Where users are a scope the kernel alone knows whose a
 * connection is, so outbound ones stay then; the rules reset them when they speak.
 */
export function becomesDiverted(
  before: Rules,
  after: Rules,
  { onlyUids, excludedUids, statusPort }: Fixed,
  carried: ReadonlySet<string>,
): (tuple: Tuple) => boolean {
  const byUser = onlyUids !== "all" || excludedUids.length > 0;
  return (tuple) => {
    const port = tuple.sourcePort;
    if (carried.has(nameOf(tuple)) || port === statusPort) return false;
    if (opensTo(before, port) && !opensTo(after, port)) return true;
    if (byUser || opensTo(after, port)) return false;
    const address = destinationOf(tuple);
    return !before.diverts(address) && after.diverts(address);
  };
}

function opensTo(rules: Rules, port: number): boolean {
  return rules.mode(port) === "passthrough";
}

function nameOf({ source, sourcePort, destination, destinationPort }: Tuple): string {
  return `${place(source, sourcePort)} ${place(destination, destinationPort)}`;
}

function place(bytes: Uint8Array, port: number): string {
  const host = formatIp(bytes);
  return bytes.length === 4 ? `${host}:${port}` : `[${host}]:${port}`;
}

type Destination = Pick<SocketAddress, "bytes" | "family" | "port">;

function destinationOf({ destination, destinationPort }: Tuple): Destination {
  return {
    bytes: destination,
    family: destination.length === 4 ? 4 : 6,
    port: destinationPort,
  };
}
