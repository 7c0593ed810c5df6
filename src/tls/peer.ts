/** From a socket whose handshake is over to a verdict on who is at its other end. */
import { ProxyError } from "../errors.ts";
import { CertificateCache } from "../identity/certificate-cache.ts";
import type { PeerCertificate } from "../identity/certificate.ts";
import type { Stream } from "../net/stream.ts";
import type { Expectation } from "../policy/authorize.ts";
import { untrusted, verifyPeer, type PeerVerdict } from "./verify.ts";

/** `role` is the peer's. */
export function judgePeer(
  stream: Stream,
  role: "server" | "client",
  handshakeError: string | null,
  expect: Expectation,
): PeerVerdict {
  const raw = stream.socket?.getPeerX509Certificate()?.raw;
  const stranger = untrusted(role, handshakeError);
  // Reading thousands of names takes milliseconds, which any stranger could ask for.
  if (stranger !== null && raw !== undefined && raw.length > strangerBytesMax) return stranger;
  const certificate = certificateOf(raw);
  if (certificate instanceof ProxyError)
    return { kind: "refuse", reason: "malformed-certificate", detail: certificate.message };
  return verifyPeer({ role, handshakeError, certificate, expect, now: Date.now() });
}

/** Null without a certificate; a ProxyError for one that cannot be read, which is the peer's mistake. */
function certificateOf(raw: Buffer | undefined): PeerCertificate | ProxyError | null {
  if (raw === undefined) return null;
  try {
    return known.read(raw);
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

const strangerBytesMax = 16_384;
const known = new CertificateCache();
