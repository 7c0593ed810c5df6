/** The reasons of failed handshakes: a closed list, so that no data from a peer becomes a metric label. Pure. */
import { factsOf, type Fault } from "../net/fault.ts";

export const handshakeFailures = [
  "no-certificate",
  "untrusted-chain",
  "expired",
  "not-yet-valid",
  "ca-as-leaf",
  "wrong-purpose",
  "wrong-address",
  /** No SPIFFE ID, although one is required. */
  "no-spiffe-id",
  "wrong-trust-domain",
  /** A SPIFFE ID that the policy does not name for this port or destination. */
  "not-allowed",
  "malformed-certificate",
  /** Authenticated, but then its PROXY protocol header was invalid. */
  "bad-proxy-header",
  /** The peer exceeded its time. */
  "timeout",
  /** Plain HTTP, or bytes that are no TLS record. */
  "not-tls",
  "tls-version",
  /** The peer has sent an alert: it refuses us. */
  "refused-by-peer",
  /** The peer went away, by FIN or RST. */
  "closed",
  "tls-error",
] as const;

export type HandshakeFailure = (typeof handshakeFailures)[number];

/**
 * The meaning of a leg's fault for its handshake. Null if the handshake is not to blame: the connection was not made,
 * the client has left, or the proxy itself has ended it.
 */
export function failureOf(fault: Fault): HandshakeFailure | null {
  const known = factsOf(fault);
  if (known !== undefined) return known.handshake;
  if (/^(SSLV3|TLSV1|TLSV13)_ALERT_/.test(fault)) return "refused-by-peer";
  return "tls-error";
}
