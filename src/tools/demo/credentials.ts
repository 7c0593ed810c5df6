/** A throw-away CA for the demo, the certificates that it issues, and the pods' policies. */
import { writeFileSync } from "node:fs";

import { issueAuthority, issueLeaf, type LeafOptions } from "../../identity/issue.ts";
import type { ClientCredentials } from "./messages.ts";
import { hosts, podSpiffeId, type PodName } from "./topology.ts";

export class DemoCredentials {
  readonly #directory: string;
  readonly #authority = issueAuthority("demo CA");
  readonly #stranger = issueAuthority("another CA");

  /** Files go into `directory`, which is in memory. */
  constructor(directory: string) {
    this.#directory = directory;
    writeFileSync(`${directory}/ca.crt`, this.#authority.certificatePem);
  }

  /** Options of a pod's proxy: a certificate for its identity and addresses, or for others. */
  proxy(name: PodName, leaf: LeafOptions = {}): readonly string[] {
    const { ipv4, ipv6 } = hosts[name];
    const own = { spiffeId: podSpiffeId(name), ips: [ipv4, ipv6] };
    const { certificatePem, keyPem } = issueLeaf(this.#authority, { ...own, ...leaf });
    const certificate = `${this.#directory}/${name}.crt`;
    const key = `${this.#directory}/${name}.key`;
    writeFileSync(certificate, certificatePem);
    writeFileSync(key, keyPem, { mode: 0o600 });
    return ["--cert", certificate, "--key", key, "--ca-cert", `${this.#directory}/ca.crt`];
  }

  /** The option for a pod's policy file. */
  policy(name: PodName): readonly string[] {
    const file = `${this.#directory}/${name}.yaml`;
    writeFileSync(file, policies[name]);
    return ["--policy", file];
  }

  /** Credentials of a client without a proxy, from our CA or another one. */
  client(of: "ours" | "another", spiffeId: string): ClientCredentials {
    const authority = of === "ours" ? this.#authority : this.#stranger;
    const leaf = issueLeaf(authority, { spiffeId, ips: [hosts.c.ipv4] });
    return { certificate: leaf.certificatePem, key: leaf.keyPem };
  }
}

/** Pod b admits pod a and the batch job on host c; pod a expects only pod b at its address. */
const policies: Readonly<Record<PodName, string>> = {
  a: `outbound:
  expect:
    - { to: ${hosts.b.ipv4}/32, allow: ["${podSpiffeId("b")}"] }
    - { to: "${hosts.b.ipv6}/128", allow: ["${podSpiffeId("b")}"] }
`,
  b: `inbound:
  allow: ["${podSpiffeId("a")}", "${podSpiffeId("batch")}"]
`,
};
