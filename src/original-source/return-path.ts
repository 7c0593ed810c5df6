/** Whether what the application answers to a client's own address comes to the proxy. Pure. */
import { type Fixed, isByOwner } from "../intercept/rules/interception.ts";
import { isSameSocket, type SocketAddress } from "../net/address.ts";
import type { Rules } from "../policy/rules.ts";

/**
 * The rules lead there what they would divert if the application had begun it: intercept/rules/outbound.ts. Where
 * users decide, the kernel alone knows whose the application is.
 */
export function hasReturnPath(rules: Rules, fixed: Fixed, client: SocketAddress): boolean {
  if (isByOwner(fixed)) return false;
  return (
    rules.returnsToProxy(client) &&
    !fixed.excludedDestinations.some((one) => isSameSocket(one, client))
  );
}
