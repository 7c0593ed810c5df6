/** Certificates that our own issuer cannot make, issued by openssl from configurations. */
import { writeFileSync } from "node:fs";

import type { Issued } from "../../src/identity/issue.ts";
import { temporaryDirectory } from "./temporary.ts";

export type Wanted = {
  /** Lines of an extension section; null for a version 1 certificate. */
  readonly extensions: readonly string[] | null;
  readonly issuer?: Issued;
  /** For `openssl genpkey`. */
  readonly key?: readonly string[];
  /** The key of an existing pair. */
  readonly keyPem?: string;
  /** Validity from now; negative for an expired certificate. */
  readonly days?: number;
};

/** A certificate with the common name `name`, self-signed without an issuer. Throws openssl's error. */
export function opensslIssued(name: string, wanted: Wanted): Issued {
  const directory = temporaryDirectory();
  const file = (of: string, text: string): string => {
    writeFileSync(`${directory}/${of}`, text);
    return `${directory}/${of}`;
  };
  const keyPem = wanted.keyPem ?? openssl("genpkey", ...(wanted.key ?? p256));
  const key = file("key.pem", keyPem);
  // The system's own configuration would add extensions.
  const config = file("empty.conf", "[req]\ndistinguished_name=names\n[names]\n");
  const request = openssl("req", "-new", "-config", config, "-key", key, "-subj", `/CN=${name}`);
  const { issuer, extensions } = wanted;
  const by =
    issuer === undefined
      ? ["-signkey", key]
      : ["-CA", file("ca.pem", issuer.certificatePem), "-CAkey", file("ca.key", issuer.keyPem)];
  const added =
    extensions === null
      ? []
      : [
          "-extfile",
          file("extensions.conf", `[all]\n${extensions.join("\n")}\n`),
          "-extensions",
          "all",
        ];
  const whole = ["-req", "-in", file("request.pem", request), "-set_serial", `${(serial += 1)}`];
  const days = ["-days", `${wanted.days ?? 2}`];
  return { certificatePem: openssl("x509", ...whole, ...by, ...days, ...added), keyPem };
}

export const certificateAuthority = ["basicConstraints=critical,CA:TRUE"];

export const p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

function openssl(...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

let serial = 0;

/** The certificates alone, concatenated. */
export function bundleOf(...all: readonly Issued[]): string {
  return all.map(({ certificatePem }) => certificatePem).join("");
}
