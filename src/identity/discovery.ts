/** Where platforms put credentials: the file names that each uses in its directory. */
import { existsSync } from "node:fs";

export type CredentialFiles = {
  readonly certificate: string;
  readonly key: string;
  readonly trustBundle: string;
};

/** Mounted by GKE's workload identity; the default directory. */
export const workloadDirectory = "/var/run/secrets/workload-spiffe-credentials";

/** The files of the first complete layout in `directory`, or null. */
export function findCredentialFiles(directory: string): CredentialFiles | null {
  for (const layout of layouts) {
    const [certificate = "", key = "", trustBundle = ""] = layout.map(
      (name) => `${directory}/${name}`,
    );
    if ([certificate, key, trustBundle].every((path) => existsSync(path)))
      return { certificate, key, trustBundle };
  }
  return null;
}

/** For a message: "tls.crt + tls.key + ca.crt, or …". */
export function describeLayouts(): string {
  return layouts.map((layout) => [...new Set(layout)].join(" + ")).join(", or ");
}

/** Certificate, key, CA bundle. */
const layouts = [
  // GKE workload identity.
  ["certificates.pem", "private_key.pem", "ca_certificates.pem"],
  // Kubernetes' TLS secrets, cert-manager.
  ["tls.crt", "tls.key", "ca.crt"],
  // spiffe-helper.
  ["svid.pem", "svid_key.pem", "svid_bundle.pem"],
  // A projected podCertificate (KEP-4317), key and chain in one file, beside a projected clusterTrustBundle.
  ["credential-bundle.pem", "credential-bundle.pem", "trust-bundle.pem"],
] as const;
