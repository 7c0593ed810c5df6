/** What becomes of a connection, by where it was going. Pure. */
import { isLoopback } from "../net/address.ts";
import type { OriginalDestination } from "../net/original-destination.ts";

export type Verdict =
  { readonly kind: "mtls" } | { readonly kind: "deny"; readonly reason: "self-call" };

/**
 * The kernel diverts nothing that goes to a loopback address, so such a connection was made to the proxy's own
 * port: carrying it would make the proxy dial itself, or show a peer what listens on 127.0.0.1 only.
 */
export function decide(original: OriginalDestination): Verdict {
  return isLoopback(original) ? { kind: "deny", reason: "self-call" } : { kind: "mtls" };
}
