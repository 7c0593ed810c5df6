/** Where platforms put credentials: the file names that each uses in its directory. */
import { existsSync, readdirSync } from "node:fs";

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

/** Why `findCredentialFiles` finds nothing in this directory, for a message that begins with its path. */
export function describeMissing(directory: string): string {
  const names = namesIn(directory);
  if (typeof names === "string") return names;
  if (names.size === 0)
    return "the directory is empty; a container engine makes an empty one where the source of a mount does not exist";
  const [nearest] = layouts
    .map((layout) => {
      const files = [...new Set(layout)];
      const [present, missing] = [true, false].map((is) =>
        files.filter((file) => names.has(file) === is),
      );
      return { present: present ?? [], missing: missing ?? [] };
    })
    .toSorted((a, b) => b.present.length - a.present.length);
  if (nearest === undefined || nearest.present.length === 0)
    return `it holds none of ${describeLayouts()}`;
  if (nearest.missing.length === 0) return `${nearest.present.join(", ")} cannot be read`;
  return `it has ${nearest.present.join(" and ")}, but not ${nearest.missing.join(" and ")}`;
}

/** The names in a directory, or why it cannot be listed. */
function namesIn(directory: string): ReadonlySet<string> | string {
  try {
    return new Set(readdirSync(directory));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return readWords.get(code) ?? `the directory cannot be read: ${code}`;
  }
}

/** For a message: "tls.crt + tls.key + ca.crt, or …". */
function describeLayouts(): string {
  return layouts.map((layout) => [...new Set(layout)].join(" + ")).join(", or ");
}

const readWords = new Map([
  ["ENOENT", "there is no such directory"],
  ["ENOTDIR", "it is not a directory; --cert, --key and --ca-cert name single files"],
  ["EACCES", "this user may not read the directory: run it as the owner of the files"],
]);

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
