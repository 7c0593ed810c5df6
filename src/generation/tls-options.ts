/** What the TLS library is told of credentials. Pure. */
import type { TLSOptions } from "bun";

import type { Config } from "../config.ts";
import type { Credentials } from "../identity/source.ts";

type Version = Config["tlsVersionMin"];

/** For what comes to us. */
export function terminatingOptions(credentials: Credentials, versionMin: Version): TLSOptions {
  return { ...tlsOptions(credentials, versionMin), requestCert: true, rejectUnauthorized: true };
}

/** For where we go. The server is judged after the handshake, by our own rules: tls/verify.ts. */
export function dialingOptions(credentials: Credentials, versionMin: Version): TLSOptions {
  return { ...tlsOptions(credentials, versionMin), rejectUnauthorized: false };
}

function tlsOptions(credentials: Credentials, versionMin: Version): TLSOptions {
  return {
    cert: credentials.certificatePem,
    key: credentials.keyPem,
    ca: credentials.trustBundlePem,
    minVersion: versionMin === "1.3" ? 0x03_04 : 0x03_03,
  };
}
