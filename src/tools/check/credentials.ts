/** Checks certificate, key and CA bundle as a peer will. */
import { networkInterfaces } from "node:os";

import type { Config } from "../../config.ts";
import { ProxyError } from "../../runtime/errors.ts";
import {
  identityOf,
  parseCertificate,
  spiffeMistake,
  type PeerCertificate,
} from "../../identity/certificate.ts";
import { loadCredentials, type Credentials } from "../../identity/source.ts";
import { assertAcceptable } from "../../reload/own-credentials.ts";
import { formatIp, parseHost } from "../../net/address.ts";
import { foreignPatterns } from "../../policy/consistency.ts";
import type { Policy } from "../../policy/policy.ts";
import { AppliedPolicy } from "../../policy/applied-policy.ts";
import { verifyPeer } from "../../tls/verify.ts";
import { bad, good, warning, type Finding } from "./finding.ts";

export type CheckedCredentials = Pick<Config, "credentials" | "tlsVersionMin">;

/** `config` is null if no credentials were given. `policy` is the effective one. `now` in milliseconds since 1970. */
export async function findCredentials(
  config: CheckedCredentials | null,
  policy: Policy,
  now: number,
): Promise<readonly Finding[]> {
  if (config === null)
    return [
      warning(
        "credential-files",
        "none given",
        "Give --cert, --key and --ca-cert to have them checked.",
      ),
    ];
  let credentials: Credentials;
  try {
    credentials = loadCredentials(config.credentials, now);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return [
      bad(
        "credential-files",
        error.message,
        isUntried(error) ? again : "See above; tls-tproxy demo shows what good ones look like.",
      ),
    ];
  }
  const certificate = parseCertificate(credentials.certificate);
  return [
    good(
      "credential-files",
      "they are readable, the key fits, and the chain leads to a root in --ca-cert",
    ),
    ...credentials.leftOut.map((text) =>
      warning("credential-left-out", text, "Remove it, or correct it."),
    ),
    purposeFinding(certificate, now),
    await chainFinding(config, credentials),
    expiryFinding(certificate, now),
    identityFinding(certificate),
    ...peerFindings(certificate, policy),
  ];
}

/** Judged as at a start and a reload: by a handshake with ourselves. */
async function chainFinding(
  config: CheckedCredentials,
  credentials: Credentials,
): Promise<Finding> {
  try {
    await assertAcceptable(config, credentials);
    return good("certificate-chain", "a handshake with ourselves ends well in both roles");
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    const remedy = isUntried(error) ? again : "Have it issued again, so that peers accept it.";
    return bad("certificate-chain", error.message, remedy);
  }
}

/** The machine is to blame, not the files: the message has the remedy. */
function isUntried({ code }: ProxyError): boolean {
  return code === "SYSTEM_CALL";
}

/** A proxy is both a server to its clients and a client of its servers. */
function purposeFinding(certificate: PeerCertificate, now: number): Finding {
  for (const role of ["server", "client"] as const) {
    const verdict = verifyPeer({
      role,
      handshakeError: null,
      certificate,
      expect: [],
      now,
    });
    if (verdict.kind === "refuse")
      return bad(
        "certificate-purposes",
        verdict.detail,
        "Have it issued with serverAuth and clientAuth, CA:FALSE.",
      );
  }
  return good("certificate-purposes", "server and client");
}

function expiryFinding({ notBefore, notAfter }: PeerCertificate, now: number): Finding {
  const until = `until ${new Date(notAfter).toISOString()}`;
  const left = (notAfter - now) / (notAfter - notBefore);
  if (left >= 1 / 3) return good("certificate-validity", until);
  return warning(
    "certificate-validity",
    `${until}: less than a third of its time is left`,
    "Renew it.",
  );
}

function identityFinding(certificate: PeerCertificate): Finding {
  const identity = identityOf(certificate);
  const mistake = spiffeMistake(identity);
  if (mistake === null)
    return good(
      "certificate-identity",
      identity.spiffeId ?? "no SPIFFE ID: peers know it by its addresses",
    );
  const remedy =
    "Peers that expect a SPIFFE ID refuse it: have it reissued with exactly one URI name.";
  return warning("certificate-identity", `no SPIFFE ID: ${mistake}`, remedy);
}

/** How peers with the same policy will identify us. */
function peerFindings(certificate: PeerCertificate, policy: Policy): readonly Finding[] {
  try {
    const applied = new AppliedPolicy(policy, identityOf(certificate).spiffeId);
    if (applied.verification === "ip") return addressFindings(certificate);
    return [trustDomainFinding(policy, applied.trustDomain ?? "")];
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return [
      bad(
        "trust-domain",
        error.message,
        "Set --trust-domain, or have the certificate issued with a SPIFFE ID.",
      ),
    ];
  }
}

/** A trust domain that is not configured follows from the certificate: that may be intended or a mistake. */
function trustDomainFinding(policy: Policy, trustDomain: string): Finding {
  const foreign = foreignPatterns(policy, trustDomain).map(({ pattern }) => pattern.text);
  if (foreign.length === 0) return good("trust-domain", trustDomain);
  const text = `${trustDomain}, by the certificate; allow names others: ${[...new Set(foreign)].join(", ")}`;
  const remedy =
    "If these are peers of a federated trust domain, --ca-cert needs its CA; else correct them.";
  return warning("trust-domain", text, remedy);
}

/** Peers connect to an address of this machine, which the certificate must name. */
function addressFindings(certificate: PeerCertificate): readonly Finding[] {
  const names = new Set(certificate.ips.map(formatIp));
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80"))
    .map(({ address }) => formatIp(parseHost(address)));
  const missing = own.filter((address) => !names.has(address));
  if (missing.length === 0) return [good("certificate-addresses", own.join(", "))];
  const text = `not in the certificate: ${missing.join(", ")} (it names ${[...names].join(", ") || "none"})`;
  return [
    warning(
      "certificate-addresses",
      text,
      "Peers that come by these refuse it: have them named (IP SAN).",
    ),
  ];
}

const again = "Then run check again.";
