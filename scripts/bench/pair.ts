/** Two pods with an application in b, and a third one for clients without a proxy, in a network of their own. */
import { issueAuthority, issueLeaf } from "../../src/identity/issue.ts";
import { writeCredentials, type CredentialPaths } from "../../test/support/credentials.ts";
import { Network, type Pod } from "../../test/support/pods.ts";
import { bulkPort } from "./protocol.ts";

/** The place where a system is set up. */
export type Ground = {
  readonly a: Pod;
  readonly b: Pod;
  readonly c: Pod;
  readonly aPaths: CredentialPaths;
  readonly bPaths: CredentialPaths;
  readonly clientPaths: CredentialPaths;
};

/** The system after the set-up. */
export type Proxies = {
  /** Process in pod a and in pod b; null without one. */
  readonly aPid: number | null;
  readonly bPid: number | null;
  /** The address that pod a's applications connect to. */
  readonly target: string;
  /** Pod b's TLS port for its HTTP application; null if there is none. */
  readonly tlsPort: number | null;
};

export type SetUp = (ground: Ground) => Promise<Proxies>;

export class Pair {
  readonly system: string;
  readonly a: Pod;
  readonly b: Pod;
  readonly c: Pod;
  readonly clientPaths: CredentialPaths;
  readonly aPid: number | null;
  readonly bPid: number | null;
  readonly target: string;
  readonly tlsPort: number | null;
  readonly #network: Network;

  private constructor(system: string, network: Network, ground: Ground & Proxies) {
    this.system = system;
    this.#network = network;
    ({ a: this.a, b: this.b, c: this.c, clientPaths: this.clientPaths } = ground);
    ({ aPid: this.aPid, bPid: this.bPid, target: this.target, tlsPort: this.tlsPort } = ground);
  }

  /** The caller disposes of it. */
  static async make(system: string, setUp: SetUp): Promise<Pair> {
    const network = Network.make();
    try {
      const [a, b, c] = [network.pod(), network.pod(), network.pod()];
      const ground = { a, b, c, aPaths: paths(a), bPaths: paths(b), clientPaths: paths(c) };
      await Promise.all([a, b, c].map(reusePorts));
      const proxies = await setUp(ground);
      await serve(b);
      return new Pair(system, network, { ...ground, ...proxies });
    } catch (error) {
      await network.dispose();
      throw error;
    }
  }

  get pids(): readonly number[] {
    return [this.aPid, this.bPid].filter((pid) => pid !== null);
  }

  async dispose(): Promise<void> {
    await this.#network.dispose();
  }
}

/** Names for all verifiers: nginx compares only host names, stunnel addresses, this proxy SPIFFE IDs. */
export const serverName = "b.bench.example";

/** Each connection keeps its port in TIME_WAIT for a minute: without this, that would limit their number. */
async function reusePorts(pod: Pod): Promise<void> {
  await pod.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse"]);
}

async function serve(pod: Pod): Promise<void> {
  const application = pod.start(["bun", `${import.meta.dir}/application.ts`]);
  const bulk = pod.start(["iperf3", "--server", "--port", String(bulkPort), "--forceflush"]);
  await Promise.all([application.says(/serving/), bulk.says(/listening/)]);
}

function paths(pod: Pod): CredentialPaths {
  const leaf = issueLeaf(authority, {
    spiffeId: `spiffe://bench.example/host/${pod.address4}`,
    ips: [pod.address4, pod.address6],
    dnsNames: [serverName],
  });
  return writeCredentials(leaf, authority);
}

const authority = issueAuthority("bench authority");
