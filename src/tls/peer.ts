/** From a socket whose handshake is over to a verdict on who is at its other end. */
import { ProxyError } from "../errors.ts";
import { CertificateCache } from "../identity/certificate-cache.ts";
import type { PeerCertificate } from "../identity/certificate.ts";
import type { Stream } from "../net/stream.ts";
import type { Expectation } from "../policy/authorize.ts";
import { verifyPeer, type PeerVerdict } from "./verify.ts";

/** `role` is the peer's. */
export function judgePeer(
  stream: Stream,
  role: "server" | "client",
  handshakeError: string | null,
  expect: Expectation,
): PeerVerdict {
  const certificate = certificateOf(stream);
  if (certificate instanceof ProxyError)
    return { kind: "refuse", reason: "malformed-certificate", detail: certificate.message };
  return verifyPeer({ role, handshakeError, certificate, expect, now: Date.now() });
}

/** Null without a certificate; a ProxyError for one that cannot be read, which is the peer's mistake. */
function certificateOf(stream: Stream): PeerCertificate | ProxyError | null {
  const raw = stream.socket?.getPeerX509Certificate()?.raw;
  if (raw === undefined) return null;
  try {
    return known.read(raw);
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

const known = new CertificateCache();
