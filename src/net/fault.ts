/** The codes of what ends a leg, in words for the log. */

/** "connection refused" for ECONNREFUSED; an unknown code is returned unchanged. */
export function describeFault(code: string): string {
  return words.get(code) ?? (code === "" ? "connection closed" : code);
}

/** Our own codes are listed beside errno names and OpenSSL's reasons. */
const words = new Map<string, string>([
  ["ECONNREFUSED", "connection refused"],
  ["ECONNRESET", "connection reset by peer"],
  ["EPIPE", "connection reset by peer"],
  ["EHOSTUNREACH", "no route to host"],
  ["ENETUNREACH", "network is unreachable"],
  ["EACCES", "destination is prohibited by a route or a firewall"],
  ["EMFILE", "out of file descriptors (raise ulimit -n)"],
  ["ENFILE", "out of file descriptors"],
  ["ETIMEDOUT", "connection timed out"],
  ["HANDSHAKE_TIMEOUT", "TLS handshake timed out (does the peer speak TLS?)"],
  [
    "GATE_TIMEOUT",
    "too many TLS handshakes waited before this one (raise --handshakes, or the peers are too slow)",
  ],
  ["IDLE_TIMEOUT", "nothing was carried for longer than --idle-timeout"],
  ["EVICTED", "it made room for a newer connection: its peer is not verified (--connections)"],
  [
    "UNVERIFIED_MEMORY",
    "peers that are not verified send more than memory has room for (--memory)",
  ],
  ["HANDSHAKE_SIZE", "the peer sends more than a TLS handshake may have"],
  ["HELD_MEMORY", "more is held for readers that have stopped than memory has room for (--memory)"],
  ["SHARE", "its peer has nearly all places, and few are free (--connections)"],
  ["REVOKED", "the policy has changed and does not allow it any more"],
  ["RULES_CHANGED", "others have changed the rules that its answers depend on"],
  ["CERTIFICATE_AGE", "a certificate that it was made with expires"],
  ["MAX_AGE", "it was older than --connection-max-age"],
  ["DRAINED", "the proxy has ended"],
  ["CANCELED", "the application closed the connection first"],
  ["EPROTO", "TLS failed (does the peer speak TLS?)"],
  [
    "WRONG_VERSION_NUMBER",
    "the peer does not speak TLS: is there a proxy on its side? (WRONG_VERSION_NUMBER)",
  ],
  ["HTTP_REQUEST", "the peer speaks plain HTTP (HTTP_REQUEST)"],
  [
    "UNSUPPORTED_PROTOCOL",
    "the peer's TLS version is too old, see --tls-min (UNSUPPORTED_PROTOCOL)",
  ],
  ["NO_SHARED_CIPHER", "no cipher in common (NO_SHARED_CIPHER)"],
  [
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "a TLS record is not as its sender made it: corrupted or tampered with",
  ],
  ["TLSV1_ALERT_CERTIFICATE_REQUIRED", "the peer requires a certificate"],
  ["TLSV1_ALERT_UNKNOWN_CA", "the peer does not trust the CA of our certificate"],
  ["SSLV3_ALERT_BAD_CERTIFICATE", "the peer refused our certificate"],
  ["SSLV3_ALERT_CERTIFICATE_UNKNOWN", "the peer does not accept our certificate"],
  ["SSLV3_ALERT_CERTIFICATE_REVOKED", "the peer says that our certificate is revoked"],
  ["SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "the peer cannot use certificates like ours"],
  [
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "the peer has no TLS version, cipher suite or key type in common with us, or requires a certificate",
  ],
  ["TLSV1_ALERT_ACCESS_DENIED", "the peer identified us and refuses us"],
  ["TLSV1_ALERT_DECRYPT_ERROR", "the peer says that our signature is wrong"],
  [
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
    "the peer speaks no protocol that we offer by ALPN (alpn in the policy)",
  ],
  ["TLSV1_ALERT_INTERNAL_ERROR", "the peer reports a fault of its own"],
  ["SSLV3_ALERT_CERTIFICATE_EXPIRED", "the peer says that our certificate has expired"],
]);
