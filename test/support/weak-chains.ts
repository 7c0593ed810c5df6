/** Chains as a CA of twenty years ago would issue them: made by openssl, one weakness each. */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

import type { CredentialPaths } from "./credentials.ts";
import { temporaryDirectory } from "./temporary.ts";

export type Link = { readonly key: string; readonly digest: string };

export type WeakChain = {
  readonly root?: Partial<Link>;
  readonly middle?: Partial<Link>;
  readonly leaf?: Partial<Link>;
};

const rsa = (bits: number): string => `rsa:${bits}`;
export const strong: Link = { key: rsa(2048), digest: "-sha256" };

/** The weakness, and where it is. */
export const weakChains: Readonly<Record<string, WeakChain>> = {
  "a leaf with a key of 1024 bits": { leaf: { key: rsa(1024) } },
  "a leaf signed by SHA-1": { leaf: { digest: "-sha1" } },
  "an intermediate with a key of 1024 bits": { middle: { key: rsa(1024) } },
  "an intermediate signed by SHA-1": { middle: { digest: "-sha1" } },
  "a root with a key of 1024 bits": { root: { key: rsa(1024) } },
};
/** Old roots are signed like this, and no verifier checks it. */
export const oldRoot: WeakChain = { root: { digest: "-sha1" } };

/**
 * Files with leaf and intermediate, the leaf's key, and the root. `names`: subject alternative names in openssl's
 * syntax.
 */
export function writeChain({ root, middle, leaf }: WeakChain, names: string): CredentialPaths {
  const directory = temporaryDirectory();
  const at = (name: string): string => `${directory}/${name}`;
  issue(at("root"), { ...strong, ...root }, null, "basicConstraints=critical,CA:TRUE");
  const authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign";
  issue(at("middle"), { ...strong, ...middle }, at("root"), authority);
  const purposes = `keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth`;
  issue(at("leaf"), { ...strong, ...leaf }, at("middle"), `${purposes}\nsubjectAltName=${names}`);
  const chain = ["leaf", "middle"].map((name) => readFileSync(`${at(name)}.pem`, "utf8")).join("");
  writeFileSync(at("cert.pem"), chain);
  return {
    directory,
    certificate: at("cert.pem"),
    key: at("leaf.key"),
    authority: at("root.pem"),
  };
}

/** `issuer`: the name of its files; null for a self-signed certificate. */
function issue(name: string, link: Link, issuer: string | null, text: string): void {
  const request = ["-newkey", link.key, "-nodes", "-keyout", `${name}.key`, "-out", `${name}.csr`];
  run(["openssl", "req", "-new", ...request, "-subj", `/CN=old ${basename(name)}`]);
  writeFileSync(`${name}.cnf`, `${text}\n${keyIds}\n`);
  const signer =
    issuer === null
      ? ["-signkey", `${name}.key`]
      : ["-CA", `${issuer}.pem`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
  const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.cnf`];
  run(["openssl", "x509", "-req", ...files, ...signer, link.digest, "-days", "3"]);
}

function run(command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}

/** These identify the right one of several CAs with the same name. */
const keyIds = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
