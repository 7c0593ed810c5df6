/** The TLS library's options for our credentials. Pure. */
import type { TLSOptions } from "bun";

import type { Config } from "../config.ts";
import type { Credentials } from "../identity/source.ts";
import { offerOf, ourProtocol, headerProtocol } from "../net/protocols.ts";

type Version = Config["tlsVersionMin"];

/**
 * For incoming connections. Bun uses the same TLS context for equal options, and session tickets are valid in their
 * whole context: `number` makes the options differ, as a comment that PEM readers ignore (RFC 7468, 2).
 */
export function terminatingOptions(
  credentials: Credentials,
  versionMin: Version,
  number: number,
): TLSOptions {
  const options = tlsOptions(credentials, versionMin);
  const ca = `${credentials.trustBundlePem}\n# context ${number}\n`;
  return { ...options, ca, requestCert: true, rejectUnauthorized: true };
}

/** For outgoing connections. The server is verified after the handshake, by our own rules: tls/verify.ts. */
export function dialingOptions(
  credentials: Credentials,
  versionMin: Version,
  tellsSource: boolean,
): TLSOptions {
  const options = tlsOptions(credentials, versionMin);
  const ALPNProtocols = offerWith(tellsSource, []);
  return { ...options, rejectUnauthorized: false, ALPNProtocols };
}

/** The ALPN offer: the names by which a peer's proxy recognises us on a permissive port, then `more`. */
export function offerWith(tellsSource: boolean, more: readonly string[]): string {
  return offerOf(tellsSource ? [headerProtocol, ourProtocol, ...more] : [ourProtocol, ...more]);
}

function tlsOptions(credentials: Credentials, versionMin: Version): TLSOptions {
  return {
    cert: credentials.certificatePem,
    key: credentials.keyPem,
    ca: credentials.trustBundlePem,
    ...(versionMin === "1.3" ? { minVersion: 0x03_04 } : { minVersion: 0x03_03, ...strongIn12 }),
  };
}

/**
 * TLS 1.2 only with an ephemeral key and an AEAD cipher, as in 1.3 (RFC 9325, 4.2), and without SHA-1 signatures (RFC
 * 9155). By default the library accepts RSA key exchange, CBC and SHA-1.
 */
const strongIn12 = {
  ciphers: "ECDHE+AESGCM:ECDHE+CHACHA20",
  sigalgs: [
    "ecdsa_secp256r1_sha256",
    "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256",
    "ecdsa_secp384r1_sha384",
    "rsa_pss_rsae_sha384",
    "rsa_pkcs1_sha384",
    "ecdsa_secp521r1_sha512",
    "rsa_pss_rsae_sha512",
    "rsa_pkcs1_sha512",
    "ed25519",
  ].join(":"),
};
