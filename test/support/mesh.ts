/** Three pods: a and b with proxies, c without one; a CA, and certificates for all of them. */
import { readFileSync } from "node:fs";

import { credentialsFor, type CredentialPaths, type Defect } from "./credentials.ts";
import type { AgentListener, AgentSocket } from "./application.ts";
import { Network, socketsLeft, type Pod, type Running } from "./pods.ts";

export type Connection = { readonly client: AgentSocket; readonly server: AgentSocket };

/** The port of pod b's application unless a test chooses another. */
export const applicationPort = 8080;

export class Mesh {
  readonly a: Pod;
  readonly b: Pod;
  readonly c: Pod;
  readonly network: Network;
  readonly proxies: Running[] = [];
  readonly #listeners = new Map<number, AgentListener>();

  constructor(network: Network) {
    this.network = network;
    this.a = network.pod();
    this.b = network.pod();
    this.c = network.pod();
  }

  static create(): Mesh {
    return new Mesh(Network.create());
  }

  /** Starts a proxy in a and one in b, each with a certificate for its pod's addresses. */
  async startProxies(...options: readonly string[]): Promise<void> {
    this.proxies.push(
      ...(await Promise.all([this.a, this.b].map((pod) => this.proxy(pod, options)))),
    );
  }

  async proxy(pod: Pod, options: readonly string[] = [], defect: Defect = {}): Promise<Running> {
    return await pod.proxy([...flagsOf(this.credentials(pod, defect)), ...options]);
  }

  /** Certificate, key and CA for a pod, as files; `defect` makes the certificate invalid. */
  credentials(pod: Pod, defect: Defect = {}): CredentialPaths {
    return credentialsFor([pod.address4, pod.address6], defect);
  }

  extraPod(): Pod {
    return this.network.pod();
  }

  /**
   * A new connection from a's (or another pod's) application to b's, from both ends, with the first data exchanged.
   */
  async connection(
    address = this.b.address4,
    from = this.a,
    first = "",
    port = applicationPort,
  ): Promise<Connection> {
    const listening = this.#listeners.get(port) ?? (await this.b.agent.listen("::", port));
    this.#listeners.set(port, listening);
    const client = await from.agent.connect(address, port);
    if (first !== "") await client.say(first);
    return { client, server: await listening.accept() };
  }

  /** The sockets that remain in both pods. */
  async socketsLeft(spared: RegExp | null = null): Promise<string[]> {
    return await socketsLeft([this.a, this.b], spared);
  }

  /** Waits until no more bytes move between the pods: the same count thirty times in a row. */
  async standstill(): Promise<void> {
    let before = -1;
    for (let same = 0; same < 30; same += 1) {
      const { stdout } = await this.b.run(["cat", "/sys/class/net/eth0/statistics/rx_bytes"]);
      if (Number(stdout) !== before) same = 0;
      before = Number(stdout);
    }
  }

  /** Bytes of anonymous memory of both proxies together: proc(5), RssAnon. */
  anonymousMemory(): number {
    const sizes = this.proxies.map(({ pid }) =>
      Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]),
    );
    return sizes.reduce((sum, size) => sum + size * 1024, 0);
  }
}

export function flagsOf(paths: CredentialPaths): string[] {
  return ["--cert", paths.certificate, "--key", paths.key, "--ca-cert", paths.authority];
}
