/** What the TLS library is told of credentials. Pure. */
import type { TLSOptions } from "bun";

import type { Config } from "../config.ts";
import type { Credentials } from "../identity/source.ts";
import { offerOf, ourProtocol, tellingProtocol } from "../net/protocols.ts";

type Version = Config["tlsVersionMin"];

/**
 * For what comes to us. Bun takes equal options for the same TLS context, and a context's session tickets are good for
 * all that share it: `generation` makes them differ, as a comment that PEM readers pass over (RFC 7468, 2).
 */
export function terminatingOptions(
  credentials: Credentials,
  versionMin: Version,
  generation: number,
): TLSOptions {
  const options = tlsOptions(credentials, versionMin);
  const ca = `${credentials.trustBundlePem}\n# generation ${generation}\n`;
  return { ...options, ca, requestCert: true, rejectUnauthorized: true };
}

/** For where we go. The server is judged after the handshake, by our own rules: tls/verify.ts. */
export function dialingOptions(
  credentials: Credentials,
  versionMin: Version,
  tellsSource: boolean,
): TLSOptions {
  const options = tlsOptions(credentials, versionMin);
  const ALPNProtocols = offerWith(tellsSource, []);
  return { ...options, rejectUnauthorized: false, ALPNProtocols };
}

/** The sign by which a peer's proxy knows us on a port that takes anything, and what we would like to speak; then `more`. */
export function offerWith(tellsSource: boolean, more: readonly string[]): string {
  return offerOf(tellsSource ? [tellingProtocol, ourProtocol, ...more] : [ourProtocol, ...more]);
}

function tlsOptions(credentials: Credentials, versionMin: Version): TLSOptions {
  return {
    cert: credentials.certificatePem,
    key: credentials.keyPem,
    ca: credentials.trustBundlePem,
    minVersion: versionMin === "1.3" ? 0x03_04 : 0x03_03,
  };
}
