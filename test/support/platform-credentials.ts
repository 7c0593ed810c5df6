/**
 * Credentials in the formats of various platforms, made by openssl: key types and encodings, chains, bundles,
 * layouts.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { temporaryDirectory } from "./temporary.ts";

export type Kind = "P-256" | "P-384" | "RSA";

/** The contents of the three files. */
export type Texts = { readonly certificate: string; readonly key: string; readonly bundle: string };

type Pair = { readonly certificate: string; readonly key: string };

export const keyForms = {
  "PKCS#8": (key: string) => openssl("pkcs8", "-topk8", "-nocrypt", "-in", key),
  SEC1: (key: string) => openssl("ec", "-in", key),
  /** As `openssl ecparam -genkey` writes it. */
  "SEC1 after its parameters": (key: string) =>
    openssl("ec", "-in", key, "-param_out") + openssl("ec", "-in", key),
  "PKCS#1": (key: string) => openssl("rsa", "-traditional", "-in", key),
} as const;

export type KeyForm = keyof typeof keyForms;

/** File names of certificate, key and CA bundle, by platform. */
export const layouts = {
  GKE: ["certificates.pem", "private_key.pem", "ca_certificates.pem"],
  Kubernetes: ["tls.crt", "tls.key", "ca.crt"],
  "spiffe-helper": ["svid.pem", "svid_key.pem", "svid_bundle.pem"],
  podCertificate: ["credential-bundle.pem", "credential-bundle.pem", "trust-bundle.pem"],
} as const;

/** Two unrelated CAs, and an intermediate below the first. */
export class Platform {
  readonly #directory = temporaryDirectory();
  readonly root = this.#issue("root", "P-256", ["basicConstraints=critical,CA:TRUE"], null);
  readonly other = this.#issue("other", "RSA", ["basicConstraints=critical,CA:TRUE"], null);
  readonly middle = this.#issue(
    "middle",
    "P-384",
    ["basicConstraints=critical,CA:TRUE"],
    this.root,
  );

  /** A workload's credentials, issued by the root or the intermediate; its key in this encoding. */
  texts(kind: Kind, form: KeyForm, below: "root" | "middle" = "root"): Texts {
    const names = `subjectAltName=URI:spiffe://platform.example/${kind}`;
    const usages = "extendedKeyUsage=serverAuth,clientAuth";
    const leaf = this.#issue("leaf", kind, [names, usages], this[below]);
    const chain = below === "root" ? "" : readFileSync(this.middle.certificate, "utf8");
    return {
      certificate: readFileSync(leaf.certificate, "utf8") + chain,
      key: keyForms[form](leaf.key),
      bundle: readFileSync(this.root.certificate, "utf8"),
    };
  }

  /** The same with an unrelated CA ahead of ours in the bundle. */
  withOther(texts: Texts): Texts {
    return { ...texts, bundle: readFileSync(this.other.certificate, "utf8") + texts.bundle };
  }

  #issue(name: string, kind: Kind, extensions: readonly string[], issuer: Pair | null): Pair {
    const at = `${this.#directory}/${name}-${kind}-${(serial += 1)}`;
    const algorithm = kind === "RSA" ? ["RSA"] : ["EC", "-pkeyopt", `ec_paramgen_curve:${kind}`];
    openssl("genpkey", "-algorithm", ...algorithm, "-out", `${at}.key`);
    // The system's own configuration would add extensions.
    writeFileSync(`${at}.conf`, "[req]\ndistinguished_name=names\n[names]\n");
    const by = issuer === null ? [] : ["-CA", issuer.certificate, "-CAkey", issuer.key];
    const added = extensions.flatMap((extension) => ["-addext", extension]);
    const own = ["-config", `${at}.conf`, "-key", `${at}.key`, "-out", `${at}.pem`];
    openssl("req", "-x509", "-days", "2", "-subj", `/CN=${name}`, ...own, ...by, ...added);
    return { certificate: `${at}.pem`, key: `${at}.key` };
  }
}

/** Different spellings of the same PEM, as various tools write it. */
export const spellings: Readonly<Record<string, (pem: string) => string>> = {
  plainly: (pem) => pem,
  "with CRLF": (pem) => pem.replaceAll("\n", "\r\n"),
  "with text after it": (pem) => `${pem}\n# managed by hand, do not edit\n`,
  "with text before it": (pem) =>
    `Bag Attributes\n    friendlyName: web\nKey Attributes: <No>\n${pem}`,
  "without an end of the last line": (pem) => pem.trimEnd(),
  "with empty lines around it": (pem) => `\n\n${pem}\n\n`,
  "with CR": (pem) => pem.replaceAll("\n", "\r"),
  "with a byte order mark": (pem) => `\uFEFF${pem}`,
  "with a byte order mark before each block": (pem) =>
    pem.replaceAll("-----BEGIN", "\uFEFF-----BEGIN"),
  "with white space at the ends of lines": (pem) => pem.replaceAll("\n", " \t\n"),
  "with base64 in one line": (pem) =>
    pem.replaceAll(/(?<=-----\n)[^-]+(?=\n-----END)/g, (base64) => base64.replaceAll("\n", "")),
  "without a line end between blocks": (pem) =>
    pem.replaceAll("-----\n-----BEGIN", "----------BEGIN"),
  "with text that speaks of its markers": (pem) =>
    `# each begins with -----BEGIN CERTIFICATE----- and ends with -----END CERTIFICATE-----\n${pem}`,
  "with text of another encoding between blocks": (pem) =>
    pem.replaceAll("-----BEGIN", "Zertifizierungsstelle M\u00FCnchen:\n-----BEGIN"),
};

/** A directory with the files in a platform's layout. */
export function laidOut(layout: keyof typeof layouts, texts: Texts): string {
  const directory = `${temporaryDirectory()}/credentials`;
  mkdirSync(directory);
  const [certificate, key, bundle] = layouts[layout];
  const isOne = certificate === (key as string);
  writeFileSync(
    `${directory}/${certificate}`,
    isOne ? texts.key + texts.certificate : texts.certificate,
  );
  if (!isOne) writeFileSync(`${directory}/${key}`, texts.key);
  writeFileSync(`${directory}/${bundle}`, texts.bundle);
  return directory;
}

/** The key, encrypted with a password. */
export function encrypted(key: string, form: "PKCS#8" | "traditional"): string {
  const at = `${temporaryDirectory()}/key.pem`;
  writeFileSync(at, key);
  const hidden = ["-in", at, "-passout", "pass:hunter2"];
  if (form === "PKCS#8") return openssl("pkcs8", "-topk8", ...hidden);
  return openssl("ec", "-aes128", ...hidden);
}

function openssl(...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

let serial = 0;
