/** A throw-away authority for the demo, and who holds which certificate of it. */
import { writeFileSync } from "node:fs";

import type { CredentialFiles } from "../config.ts";
import { issueAuthority, issueLeaf, type Issued } from "../identity/issue.ts";
import type { ClientCredentials } from "./messages.ts";
import { hosts, spiffeIdOf, type HostName } from "./topology.ts";

export class Credentials {
  readonly #directory: string;
  readonly #authority = issueAuthority("demo authority");
  readonly #stranger = issueAuthority("another authority");

  /** Files go into `directory`, which is in memory. */
  constructor(directory: string) {
    this.#directory = directory;
    writeFileSync(`${directory}/ca.pem`, this.#authority.certificatePem);
  }

  /** A proxy's files: a certificate for its host's addresses, or for these. */
  proxy(
    name: HostName,
    ips: readonly string[] = [hosts[name].ipv4, hosts[name].ipv6],
  ): CredentialFiles {
    const leaf = issueLeaf(this.#authority, { spiffeId: spiffeIdOf(name), ips });
    const certificate = `${this.#directory}/${name}.pem`;
    const key = `${this.#directory}/${name}.key`;
    writeFileSync(certificate, leaf.certificatePem);
    writeFileSync(key, leaf.keyPem, { mode: 0o600 });
    return { certificate, key, trustBundle: `${this.#directory}/ca.pem` };
  }

  /** A client without a proxy, of our authority or of another. */
  client(of: "ours" | "another"): ClientCredentials {
    const authority = of === "ours" ? this.#authority : this.#stranger;
    const leaf: Issued = issueLeaf(authority, { spiffeId: spiffeIdOf("c"), ips: [hosts.c.ipv4] });
    return { certificate: leaf.certificatePem, key: leaf.keyPem };
  }
}
