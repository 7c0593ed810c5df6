/** The treatment of a connection, by its original destination. Pure. */
import { isLoopback } from "../net/address.ts";
import type { OriginalDestination } from "../net/original-destination.ts";

export type Verdict =
  { readonly kind: "mtls" } | { readonly kind: "deny"; readonly reason: "self-call" };

/**
 * The kernel never diverts connections to a loopback address, so such a connection was made to the proxy's own port:
 * carrying it would make the proxy dial itself, or expose a service on 127.0.0.1 to a peer.
 */
export function decide(original: OriginalDestination): Verdict {
  return isLoopback(original) ? { kind: "deny", reason: "self-call" } : { kind: "mtls" };
}
