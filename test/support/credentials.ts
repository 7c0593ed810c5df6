/** Credential files for pods: one CA for the whole run, and the possible defects of a certificate. */
import { readFileSync, writeFileSync } from "node:fs";

import {
  issueAuthority,
  issueLeaf,
  type LeafOptions,
  type Purpose,
} from "../../src/identity/issue.ts";
import { temporaryDirectory } from "./temporary.ts";

export type CredentialPaths = {
  readonly directory: string;
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
};

/** A certificate's defects; none by default. */
export type Defect = {
  readonly foreign?: boolean;
  readonly expired?: boolean;
  readonly early?: boolean;
  /** Start of its validity. */
  readonly beginsInMs?: number;
  /** Length of its validity. */
  readonly lastsMs?: number;
  readonly isAuthority?: boolean;
  readonly usages?: readonly Purpose[];
  readonly ips?: readonly string[];
  /** A SPIFFE ID other than its own; null for none. */
  readonly spiffeId?: string | null;
  /** Instead of a SPIFFE ID. */
  readonly commonName?: string;
};

const authority = issueAuthority("test authority");
const foreignAuthority = issueAuthority("another authority");

/** Files with a certificate for `ips`, its key, and the CA that peers are verified with. */
export function credentialsFor(ips: readonly string[], defect: Defect = {}): CredentialPaths {
  const issuer = defect.foreign === true ? foreignAuthority : authority;
  return writeCredentials(issueLeaf(issuer, leafOptions(ips, defect)), issuer);
}

/** Files in a directory of their own. */
export function writeCredentials(
  leaf: ReturnType<typeof issueLeaf>,
  { certificatePem }: ReturnType<typeof issueAuthority>,
): CredentialPaths {
  const directory = temporaryDirectory();
  const write = (name: string, text: string): string => {
    writeFileSync(`${directory}/${name}`, text, { mode: 0o600 });
    return `${directory}/${name}`;
  };
  return {
    directory,
    certificate: write("cert.pem", leaf.certificatePem),
    key: write("key.pem", leaf.keyPem),
    authority: write("ca.pem", certificatePem),
  };
}

/** A key on a curve that node:crypto reads and the TLS library refuses (P-224), with its own CA. */
export function writeUnusable(paths: CredentialPaths): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1", "-nodes"];
  const files = ["-keyout", paths.key, "-out", paths.certificate];
  const names = ["-addext", "subjectAltName=URI:spiffe://test.example/unusable"];
  const made = Bun.spawnSync([
    "openssl",
    "req",
    "-x509",
    ...key,
    "-subj",
    "/CN=x",
    ...names,
    ...files,
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  writeFileSync(paths.authority, readFileSync(paths.certificate));
}

function spiffeOf(ips: readonly string[], { spiffeId, commonName }: Defect): LeafOptions {
  if (commonName !== undefined) return { commonName };
  if (spiffeId === null) return { commonName: "nobody" };
  const own = `spiffe://test.example/host/${(ips[0] ?? "none").replaceAll(":", ".")}`;
  return { spiffeId: spiffeId ?? own };
}

function leafOptions(ips: readonly string[], defect: Defect): LeafOptions {
  const hour = 3_600_000;
  const now = Date.now();
  return {
    ...spiffeOf(ips, defect),
    ips: defect.ips ?? ips,
    ...(defect.usages === undefined ? {} : { usages: defect.usages }),
    ...(defect.isAuthority === true ? { isAuthority: true } : {}),
    ...(defect.expired === true
      ? { notBefore: new Date(now - 2 * hour), notAfter: new Date(now - hour) }
      : {}),
    ...(defect.early === true
      ? { notBefore: new Date(now + hour), notAfter: new Date(now + 2 * hour) }
      : {}),
    ...(defect.beginsInMs === undefined ? {} : { notBefore: new Date(now + defect.beginsInMs) }),
    ...(defect.lastsMs === undefined ? {} : { notAfter: new Date(now + defect.lastsMs) }),
  };
}
