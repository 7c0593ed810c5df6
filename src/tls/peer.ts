/** The verdict on the peer of a socket whose handshake is complete. */
import type { CertificateLink } from "bun";

import { ProxyError } from "../runtime/errors.ts";
import { CertificateCache } from "../identity/certificate-cache.ts";
import type { PeerCertificate } from "../identity/certificate.ts";
import { weakLink } from "../identity/strength.ts";
import type { Fault } from "../net/fault.ts";
import type { LegSocket } from "../net/leg-socket.ts";
import type { Expectation } from "../policy/authorize.ts";
import { untrusted, verifyPeer, type PeerVerdict } from "./verify.ts";

/** `role` is the peer's. */
export function judgePeer(
  socket: LegSocket,
  role: "server" | "client",
  handshakeError: Fault | null,
  expect: Expectation,
): PeerVerdict {
  const raw = socket.bun?.getPeerX509Certificate()?.raw;
  const stranger = untrusted(role, handshakeError);
  // Reading thousands of names takes milliseconds, which any stranger could cause.
  if (stranger !== null && raw !== undefined && raw.length > strangerBytesMax) return stranger;
  const certificate = certificateOf(raw);
  if (certificate instanceof ProxyError)
    return { kind: "refuse", reason: "malformed-certificate", detail: certificate.message };
  const verdict = verifyPeer({ role, handshakeError, certificate, expect, now: Date.now() });
  if (verdict.kind === "refuse" || certificate === null) return verdict;
  const weakness = weaknessOf(socket, certificate);
  if (weakness === null) return verdict;
  return { kind: "refuse", reason: "untrusted-chain", detail: weakness };
}

/**
 * The TLS library accepts short keys and SHA-1 within a chain. A leaf that once came with a strong chain is not
 * checked again: its issuer's key is as strong in any other chain.
 */
function weaknessOf(socket: LegSocket, certificate: PeerCertificate): string | null {
  if (strong.has(certificate)) return null;
  const weakness = weakLink(chainOf(socket));
  if (weakness === null) strong.add(certificate);
  return weakness;
}

/** As sent by the peer, the leaf first. */
function chainOf(socket: LegSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.bun?.getPeerCertificate(false);
  while (certificate?.raw !== undefined && chain.length < chainMax) {
    chain.push(certificate.raw);
    const issuer: CertificateLink | undefined = certificate.issuerCertificate;
    certificate = issuer === certificate ? undefined : issuer;
  }
  return chain;
}

/** Null without a certificate; a ProxyError for an unreadable one, which is the peer's fault. */
function certificateOf(raw: Buffer | undefined): PeerCertificate | ProxyError | null {
  if (raw === undefined) return null;
  try {
    return known.read(raw);
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
}

/** The TLS library accepts no longer chains. */
const chainMax = 128;
const strong = new WeakSet<PeerCertificate>();
const strangerBytesMax = 16_384;
const known = new CertificateCache();
