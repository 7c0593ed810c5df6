/** What ends a leg: one table of the codes, with their words for the log and how they are counted. Pure. */

declare const brand: unique symbol;

/** A code of the table. */
export type KnownFault = keyof typeof faults;
/** A code of the kernel or the TLS library that the table does not have. */
export type OtherFault = string & { readonly [brand]: "OtherFault" };
/** What has ended a leg; "" if nothing is known. */
export type Fault = KnownFault | OtherFault;

/** One row of the table. */
type Facts = (typeof faults)[KnownFault];

/** Codes of the kernel and the TLS library become faults here only. */
export function faultFrom(code: string): Fault {
  return code as OtherFault;
}

/** What the table has on a code, undefined for others. */
export function factsOf(fault: Fault): Facts | undefined {
  return known.get(fault);
}

/** "connection refused" for ECONNREFUSED; a code that the table does not have is returned unchanged. */
export function describeFault(fault: Fault): string {
  return known.get(fault)?.words ?? fault;
}

type Entry = {
  /** For the log. */
  readonly words: string;
  /** The reason of a handshake that fails with it: tls/failure.ts. Null: the handshake is not to blame, or not begun. */
  readonly handshake: string | null;
  /** How a connection counts that the proxy itself ends with it: connection/metrics.ts. Without it, by its outcome. */
  readonly how?: string;
  /** The limit to blame: connection/limit-refusals.ts. */
  readonly limit?: string;
};

/** Our own codes, then errno names, then the reasons of the TLS library and the peer's alerts. */
const faults = {
  "": { words: "connection closed", handshake: "closed" },
  CANCELED: { words: "the application closed the connection first", handshake: null },
  CERTIFICATE_AGE: {
    words: "a certificate that it was made with expires",
    handshake: null,
    how: "aged",
  },
  DRAINED: { words: "the proxy has ended", handshake: null, how: "drained" },
  EVICTED: {
    words: "it made room for a newer connection: its peer is not verified (--connections)",
    handshake: null,
    how: "limit",
  },
  GATE_TIMEOUT: {
    words:
      "too many TLS handshakes waited before this one (raise --handshakes, or the peers are too slow)",
    handshake: "timeout",
    limit: "handshakes",
  },
  HANDSHAKE_FAILED: {
    words: "the TLS library does not say why (HANDSHAKE_FAILED)",
    handshake: "tls-error",
  },
  HANDSHAKE_SIZE: {
    words: "the peer sends more than a TLS handshake may have",
    handshake: "tls-error",
  },
  HANDSHAKE_TIMEOUT: {
    words: "TLS handshake timed out (does the peer speak TLS?)",
    handshake: "timeout",
  },
  HELD_MEMORY: {
    words: "more is held for readers that have stopped than memory has room for (--memory)",
    handshake: null,
    how: "limit",
    limit: "held-memory",
  },
  IDLE_TIMEOUT: {
    words: "nothing was carried for longer than --idle-timeout",
    handshake: null,
    how: "idle",
  },
  MAX_AGE: { words: "it was older than --connection-max-age", handshake: null, how: "aged" },
  /** The record of the connection has the refusal in words. */
  PROBE_REFUSED: { words: "it is not a declared probe", handshake: null },
  REVOKED: {
    words: "the policy has changed and does not allow it any more",
    handshake: null,
    how: "revoked",
  },
  RULES_CHANGED: {
    words: "others have changed the rules that its answers depend on",
    handshake: null,
    how: "rules-changed",
  },
  SHARE: {
    words: "its peer has nearly all places, and few are free (--connections)",
    handshake: null,
    how: "limit",
    limit: "share",
  },
  UNKNOWN: { words: "an error without a name (UNKNOWN)", handshake: "tls-error" },
  UNVERIFIED_MEMORY: {
    words: "peers that are not verified send more than memory has room for (--memory)",
    handshake: null,
    how: "limit",
    limit: "unverified-memory",
  },

  EACCES: { words: "destination is prohibited by a route or a firewall", handshake: null },
  EADDRINUSE: { words: "the source address and port are in use (EADDRINUSE)", handshake: null },
  EADDRNOTAVAIL: {
    words: "no source port is free, or the source address is not ours (EADDRNOTAVAIL)",
    handshake: null,
  },
  ECONNREFUSED: { words: "connection refused", handshake: null },
  ECONNRESET: { words: "connection reset by peer", handshake: "closed" },
  EHOSTUNREACH: { words: "no route to host", handshake: null },
  EINVAL: { words: "the kernel refuses these addresses (EINVAL)", handshake: null },
  EMFILE: {
    words: "out of file descriptors (raise ulimit -n)",
    handshake: null,
    limit: "descriptors",
  },
  ENETUNREACH: { words: "network is unreachable", handshake: null },
  ENFILE: { words: "out of file descriptors", handshake: null, limit: "descriptors" },
  ENOBUFS: { words: "the kernel has no memory left for it (ENOBUFS)", handshake: null },
  EPIPE: { words: "connection reset by peer", handshake: "closed" },
  ETIMEDOUT: { words: "connection timed out", handshake: null },

  DECRYPTION_FAILED_OR_BAD_RECORD_MAC: {
    words: "a TLS record is not as its sender made it: corrupted or tampered with",
    handshake: "tls-error",
  },
  EPROTO: { words: "TLS failed (does the peer speak TLS?)", handshake: "tls-error" },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    words: "the certificate does not name this address",
    handshake: "wrong-address",
  },
  HTTPS_PROXY_REQUEST: {
    words: "the peer takes us for an HTTP proxy (HTTPS_PROXY_REQUEST)",
    handshake: "not-tls",
  },
  HTTP_REQUEST: { words: "the peer speaks plain HTTP (HTTP_REQUEST)", handshake: "not-tls" },
  NO_SHARED_CIPHER: { words: "no cipher in common (NO_SHARED_CIPHER)", handshake: "tls-error" },
  PEER_DID_NOT_RETURN_A_CERTIFICATE: {
    words: "the peer presents no certificate",
    handshake: "no-certificate",
  },
  UNSUPPORTED_PROTOCOL: {
    words: "the peer's TLS version is too old, see --tls-min (UNSUPPORTED_PROTOCOL)",
    handshake: "tls-version",
  },
  WRONG_VERSION_NUMBER: {
    words: "the peer does not speak TLS: is there a proxy on its side? (WRONG_VERSION_NUMBER)",
    handshake: "not-tls",
  },

  SSLV3_ALERT_BAD_CERTIFICATE: {
    words: "the peer refused our certificate",
    handshake: "refused-by-peer",
  },
  SSLV3_ALERT_CERTIFICATE_EXPIRED: {
    words: "the peer says that our certificate has expired",
    handshake: "refused-by-peer",
  },
  SSLV3_ALERT_CERTIFICATE_REVOKED: {
    words: "the peer says that our certificate is revoked",
    handshake: "refused-by-peer",
  },
  SSLV3_ALERT_CERTIFICATE_UNKNOWN: {
    words: "the peer does not accept our certificate",
    handshake: "refused-by-peer",
  },
  SSLV3_ALERT_HANDSHAKE_FAILURE: {
    words:
      "the peer has no TLS version, cipher suite or key type in common with us, or requires a certificate",
    handshake: "refused-by-peer",
  },
  SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: {
    words: "the peer cannot use certificates like ours",
    handshake: "refused-by-peer",
  },
  TLSV1_ALERT_ACCESS_DENIED: {
    words: "the peer identified us and refuses us",
    handshake: "refused-by-peer",
  },
  TLSV1_ALERT_CERTIFICATE_REQUIRED: {
    words: "the peer requires a certificate",
    handshake: "refused-by-peer",
  },
  TLSV1_ALERT_DECRYPT_ERROR: {
    words: "the peer says that our signature is wrong",
    handshake: "refused-by-peer",
  },
  TLSV1_ALERT_INTERNAL_ERROR: {
    words: "the peer reports a fault of its own",
    handshake: "refused-by-peer",
  },
  TLSV1_ALERT_NO_APPLICATION_PROTOCOL: {
    words: "the peer speaks no protocol that we offer by ALPN (alpn in the policy)",
    handshake: "refused-by-peer",
  },
  TLSV1_ALERT_PROTOCOL_VERSION: {
    words: "the peer refuses our TLS version (TLSV1_ALERT_PROTOCOL_VERSION)",
    handshake: "tls-version",
  },
  TLSV1_ALERT_UNKNOWN_CA: {
    words: "the peer does not trust the CA of our certificate",
    handshake: "refused-by-peer",
  },
} as const satisfies Readonly<Record<string, Entry>>;

export const knownFaults = Object.keys(faults) as readonly KnownFault[];
const known: ReadonlyMap<string, Facts> = new Map(Object.entries(faults));
