/**
 * Verifies that a peer is the expected one. Pure: the TLS library's result is one input, our own checks are the rest.
 */
import { identityOf, type PeerCertificate, type PeerIdentity } from "../identity/certificate.ts";
import { describeFault, type Fault } from "../net/fault.ts";
import { authorize, type Expectation } from "../policy/authorize.ts";
import { failureOf, type HandshakeFailure } from "./failure.ts";

export type PeerEvidence = {
  /** The peer's role, not ours. */
  readonly role: "server" | "client";
  /** Bun's error code for the handshake, null for none. */
  readonly handshakeError: Fault | null;
  readonly certificate: PeerCertificate | null;
  /** The expected peer, whose chain must also lead to the trust bundle. */
  readonly expect: Expectation;
  /** Milliseconds since 1970. */
  readonly now: number;
};

export type PeerVerdict =
  | { readonly kind: "accept"; readonly identity: PeerIdentity }
  | { readonly kind: "refuse"; readonly reason: HandshakeFailure; readonly detail: string };

/** Checks in the order of interest to an operator; the first failure is the reason. */
export function verifyPeer(evidence: PeerEvidence): PeerVerdict {
  const { certificate, role, expect, now } = evidence;
  if (certificate === null) return withoutCertificate(role, evidence.handshakeError);
  if (now > certificate.notAfter)
    return refuse("expired", `certificate has expired at ${day(certificate.notAfter)}`);
  if (now < certificate.notBefore)
    return refuse("not-yet-valid", `certificate is not valid before ${day(certificate.notBefore)}`);
  if (certificate.isAuthority)
    return refuse("ca-as-leaf", "this is a CA certificate (CA:TRUE), not a workload's");
  // X509-SVID, 5.2: a leaf with these usages is not a workload's.
  if (certificate.maySign)
    return refuse("ca-as-leaf", "certificate may sign others or revoke them (key usage)");
  if (!hasPurpose(certificate, role))
    return refuse("wrong-purpose", `certificate is not meant for a ${role} (extended key usage)`);
  const stranger = untrusted(role, evidence.handshakeError);
  if (stranger !== null) return stranger;
  const identity = identityOf(certificate);
  const refusal = authorize(identity, expect);
  return refusal === null ? { kind: "accept", identity } : { kind: "refuse", ...refusal };
}

/**
 * The refusal of a certificate that none of our CAs has issued, null if one has: does not need the parsed certificate.
 */
export function untrusted(role: "server" | "client", code: Fault | null): PeerVerdict | null {
  return isGoodChain(code, role) ? null : refuse("untrusted-chain", chainText(code ?? ""));
}

/** A failed handshake has no certificate either: then its own error is more informative. */
function withoutCertificate(role: "server" | "client", code: Fault | null): PeerVerdict {
  if (code === null || code === "PEER_DID_NOT_RETURN_A_CERTIFICATE")
    return refuse("no-certificate", `the ${role} presents no certificate`);
  return refuse(failureOf(code) ?? "tls-error", `TLS handshake failed: ${describeFault(code)}`);
}

/**
 * Chain errors precede the name's, so ALTNAME_INVALID means that the chain is valid; the name Bun looked for is not
 * the peer's, and ours is checked below. No other code is known to be harmless.
 */
function isGoodChain(code: Fault | null, role: "server" | "client"): boolean {
  return code === null || (role === "server" && code === "ERR_TLS_CERT_ALTNAME_INVALID");
}

/**
 * Without the extension any purpose is allowed (RFC 5280, 4.2.1.12), as in Go and ztunnel. An explicit "any purpose"
 * is not accepted, because the TLS library refuses it.
 */
function hasPurpose(certificate: PeerCertificate, role: "server" | "client"): boolean {
  if (certificate.usages === null) return true;
  return certificate.usages.includes(purposes[role]);
}

function chainText(code: Fault): string {
  return chainTexts.get(code) ?? `certificate chain is not accepted: ${code}`;
}

function refuse(reason: HandshakeFailure, detail: string): PeerVerdict {
  return { kind: "refuse", reason, detail };
}

function day(time: number): string {
  return new Date(time).toISOString();
}

const purposes = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

const chainTexts = new Map<string, string>([
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "certificate signed by an unknown CA"],
  ["UNABLE_TO_GET_ISSUER_CERT", "certificate signed by an unknown CA"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "certificate signed by an unknown CA"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "certificate is self-signed, not issued by our CA"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "certificate signed by an unknown CA"],
  ["CERT_SIGNATURE_FAILURE", "certificate's signature is not its issuer's"],
  ["CERT_HAS_EXPIRED", "a certificate of the chain has expired"],
  ["CERT_NOT_YET_VALID", "a certificate of the chain is not valid yet"],
  ["INVALID_PURPOSE", "certificate is not meant for this use"],
  [
    "UNHANDLED_CRITICAL_EXTENSION",
    "a certificate of the chain has a critical extension that is not known",
  ],
  ["PATH_LENGTH_EXCEEDED", "the chain is longer than one of its CAs allows (pathlen)"],
  ["PERMITTED_VIOLATION", "a CA of the chain does not permit one of the names (name constraints)"],
  [
    "EXCLUDED_VIOLATION",
    "a name is one of those that a CA of the chain excludes (name constraints)",
  ],
  [
    "UNSUPPORTED_CONSTRAINT_TYPE",
    "a CA of the chain has name constraints of IP addresses or of another kind that the TLS library (BoringSSL) does not know",
  ],
  ["INVALID_CA", "the issuer's certificate is not a CA certificate"],
]);
