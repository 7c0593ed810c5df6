/** The reasons of failed handshakes: a closed list, so that no data from a peer becomes a metric label. Pure. */

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
 * The meaning of a leg's fault (errno name, or reason of the TLS library) for its handshake. Null if there was no
 * handshake yet: the connection was not made, or the client has left.
 */
export function failureOf(fault: string): HandshakeFailure | null {
  if (beforeHandshake.has(fault)) return null;
  const known = failures.get(fault);
  if (known !== undefined) return known;
  if (/^(SSLV3|TLSV1|TLSV13)_ALERT_/.test(fault)) return "refused-by-peer";
  return "tls-error";
}

const beforeHandshake = new Set([
  "EVICTED",
  "UNVERIFIED_MEMORY",
  "CANCELED",
  "DRAINED",
  "EACCES",
  "EADDRNOTAVAIL",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "EINVAL",
  "EMFILE",
  "ENETUNREACH",
  "ENFILE",
  "ENOBUFS",
  "ETIMEDOUT",
]);

const failures = new Map<string, HandshakeFailure>([
  ["", "closed"],
  ["ECONNRESET", "closed"],
  ["EPIPE", "closed"],
  ["HANDSHAKE_TIMEOUT", "timeout"],
  ["GATE_TIMEOUT", "timeout"],
  ["WRONG_VERSION_NUMBER", "not-tls"],
  ["HTTP_REQUEST", "not-tls"],
  ["HTTPS_PROXY_REQUEST", "not-tls"],
  ["UNSUPPORTED_PROTOCOL", "tls-version"],
  ["TLSV1_ALERT_PROTOCOL_VERSION", "tls-version"],
  ["PEER_DID_NOT_RETURN_A_CERTIFICATE", "no-certificate"],
]);
