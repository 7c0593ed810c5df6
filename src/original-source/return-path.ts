/** Whether the application's answers to a client's own address reach the proxy. Pure. */
import { type Fixed, isByOwner } from "../intercept/rules/interception.ts";
import { isSameSocket, type SocketAddress } from "../net/address.ts";
import type { AppliedPolicy } from "../policy/applied-policy.ts";

/**
 * The rules divert answers that they would divert if the application had begun the connection:
 * intercept/rules/outbound.ts. If users are selected, only the kernel knows the application's user.
 */
export function hasReturnPath(policy: AppliedPolicy, fixed: Fixed, client: SocketAddress): boolean {
  if (isByOwner(fixed)) return false;
  return (
    policy.returnsToProxy(client) &&
    !fixed.excludedDestinations.some((one) => isSameSocket(one, client))
  );
}
