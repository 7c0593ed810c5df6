/** Reads our own credentials and judges them as peers will: before a start and before each renewal. */
import { selfHandshakeMsMax, type Config } from "../config.ts";
import { parseCertificate } from "../identity/certificate.ts";
import { invalid, type NamedFile } from "../identity/credentials-error.ts";
import { namesBytesOf } from "../identity/ca-names.ts";
import { loadCredentials, type Credentials } from "../identity/source.ts";
import { describeFault } from "../net/fault.ts";
import { ProxyError } from "../runtime/errors.ts";
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
 * CREDENTIALS_INVALID that names option, certificate and cause; SYSTEM_CALL if the machine is to blame.
 */
export async function acceptableCredentials(
  config: Pick<Config, "credentials" | "tlsVersionMin">,
): Promise<Credentials> {
  const credentials = loadCredentials(config.credentials, Date.now());
  await assertAcceptable(config, credentials);
  return credentials;
}

/**
 * Rejects with CREDENTIALS_INVALID if peers would refuse them in either role, with SYSTEM_CALL if they could not be tried.
 */
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
    throw namingFiles(config.credentials, untried(error));
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
    if (credentials.doubt === null && isOurFault(result.fault))
      throw notTried(`a handshake with ourselves fails: ${describeFault(result.fault)}`, null);
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

/** Adds to an error of the sockets what they were for. */
function untried(error: unknown): unknown {
  if (!(error instanceof ProxyError) || error.code !== "SYSTEM_CALL") return error;
  return notTried(error.message, error);
}

function notTried(why: string, cause: unknown): ProxyError {
  return new ProxyError("SYSTEM_CALL", `the credentials cannot be tried: ${why}`, { cause });
}

/** Errors of the sockets between us and ourselves, and the time-out on an overloaded machine: no fault of TLS. */
function isOurFault(fault: string): boolean {
  if (fault === "HANDSHAKE_TIMEOUT") return true;
  return /^E[A-Z]+$/.test(fault) && !ofTls.has(fault);
}

const ofTls: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "EPROTO"]);

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
