/** Reads our own credentials and judges them as peers will: before a start and before each renewal. */
import { selfHandshakeMsMax, type Config } from "../config.ts";
import { parseCertificate } from "../identity/certificate.ts";
import { invalid, type NamedFile } from "../identity/credentials-error.ts";
import { namesBytesOf } from "../identity/ca-names.ts";
import { loadCredentials, type Credentials } from "../identity/source.ts";
import { describeFault } from "../net/fault.ts";
import { shakeHandsWithOurselves, type SelfHandshake } from "../tls/self-handshake.ts";
import { verifyPeer } from "../tls/verify.ts";
import { readCredentials } from "./credential-store.ts";
import { namingFiles } from "./in-force.ts";
import type { FirstRead } from "./watched-files.ts";
import { dialingOptions, terminatingOptions } from "../tls/options.ts";

/** The credentials for a start; rejects as `acceptableCredentials` does. */
export async function readOwnCredentials(config: Config): Promise<FirstRead<Credentials>> {
  return await readCredentials(config.credentials, async () => await acceptableCredentials(config));
}

/**
 * The files' credentials, if peers with the same CA bundle accept them from a server and from a client. Throws
 * CREDENTIALS_INVALID that names option, certificate and cause.
 */
export async function acceptableCredentials(
  config: Pick<Config, "credentials" | "tlsVersionMin">,
): Promise<Credentials> {
  const credentials = loadCredentials(config.credentials, Date.now());
  await assertAcceptable(config, credentials);
  return credentials;
}

/** Rejects with CREDENTIALS_INVALID if peers would refuse them in either role. */
export async function assertAcceptable(
  config: Pick<Config, "credentials" | "tlsVersionMin">,
  credentials: Credentials,
): Promise<void> {
  const { tlsVersionMin } = config;
  const handshake = shakeHandsWithOurselves({
    terminating: terminatingOptions(credentials, tlsVersionMin, 0),
    dialing: dialingOptions(credentials, tlsVersionMin, true),
    certificate: credentials.certificate,
    handshakeMsMax: selfHandshakeMsMax,
  });
  const result = await handshake.catch((error: unknown) => {
    throw namingFiles(config.credentials, error);
  });
  assertAccepted(config, credentials, result);
}

function assertAccepted(
  { credentials: files }: Pick<Config, "credentials">,
  credentials: Credentials,
  result: SelfHandshake,
): void {
  const certificate = { option: "--cert", path: files.certificate };
  if (result.kind === "failed") {
    assertNamesFit({ option: "--ca-cert", path: files.trustBundle }, credentials);
    const why = credentials.doubt?.text ?? describeFault(result.fault);
    throw invalid(certificate, `a handshake with ourselves fails: ${why}`);
  }
  for (const role of ["server", "client"] as const) {
    const verdict = verifyPeer({
      role,
      handshakeError: result[role],
      certificate: parseCertificate(credentials.certificate),
      expect: [],
      now: Date.now(),
    });
    if (verdict.kind === "accept") continue;
    const { doubt } = credentials;
    const text = `peers would refuse it as a ${role}'s: ${doubt?.text ?? verdict.detail}`;
    throw invalid(certificate, text, { validFrom: doubt?.validFrom ?? null });
  }
}

/** A server sends the names of all its CAs, and the TLS library cannot leave them out: RFC 8446, 4.2.4. */
function assertNamesFit(named: NamedFile, { trustBundlePem }: Credentials): void {
  const { count, bytes } = namesBytesOf(trustBundlePem);
  if (bytes <= namesBytesMax) return;
  const text =
    `the names of its ${count} CAs add up to ${bytes} bytes. A server sends all of them in each handshake, and TLS has ` +
    `room for ${namesBytesMax}: remove the CAs that no peer needs`;
  throw invalid(named, text);
}

/** Limit of a list with a two-byte length. */
const namesBytesMax = 65_535;
