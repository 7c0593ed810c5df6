/** The stage of a soak test: two pods with proxies and applications, and a host without. */
import { readFileSync } from "node:fs";

import { credentialsFor, type CredentialPaths } from "../credentials.ts";
import { flagsOf } from "../mesh.ts";
import type { AgentListener, AgentSocket } from "../application.ts";
import { Network, socketsLeft, type Pod, type Running } from "../pods.ts";
import { metrics } from "../status.ts";
import { Tally } from "./tally.ts";

export type Side = "a" | "b";
export type Meeting = {
  readonly id: string;
  readonly client: AgentSocket;
  readonly server: AgentSocket;
};

export const applicationPort = 8080;

export class Stage {
  readonly tally = new Tally();
  readonly a: Pod;
  readonly b: Pod;
  readonly c: Pod;
  readonly #network: Network;
  readonly #proxies = new Map<Side, Running>();
  readonly #credentials: Readonly<Record<Side, CredentialPaths>>;
  readonly #waiting = new Map<string, (server: AgentSocket) => void>();
  #serial = 10_000_000;
  /** Odd while a proxy is being replaced. */
  #epoch = 0;

  static async set(): Promise<Stage> {
    const stage = new Stage(Network.make());
    for (const side of ["a", "b"] as const) {
      await stage.#start(side);
      const listener = await stage[side].agent.listen("::", applicationPort);
      void stage.#serve(listener).catch(() => undefined); // The agent ends with the stage.
    }
    return stage;
  }

  private constructor(network: Network) {
    this.#network = network;
    this.a = network.pod();
    this.b = network.pod();
    this.c = network.pod();
    this.#credentials = { a: this.#issue(this.a), b: this.#issue(this.b) };
  }

  /** A number that stays the same while both proxies do, and is odd while one is missing. */
  get epoch(): number {
    return this.#epoch;
  }

  /** One connection, from both ends; the applications match its ends by its first eight bytes. */
  async meet(from: Pod, host: string): Promise<Meeting> {
    const id = String((this.#serial += 1));
    const met = Promise.withResolvers<AgentSocket>();
    this.#waiting.set(id, met.resolve);
    const client = await from.agent.connect(host, applicationPort);
    try {
      await client.say(id);
      const failed = failing(client);
      failed.catch(() => undefined); // Others wait for its end then.
      return { id, client, server: await Promise.race([met.promise, failed]) };
    } catch (error) {
      await client.reset();
      throw error;
    } finally {
      this.#waiting.delete(id);
    }
  }

  plug(pod: Pod, isIn: boolean): void {
    this.#network.plug(pod, isIn);
  }

  /** Ends a proxy and starts another in its place; one at a time. */
  async replace(side: Side, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (this.#epoch % 2 === 1) return;
    this.#epoch += 1;
    try {
      await this.#harvest(side);
      await this.#proxies.get(side)?.end(signal);
      await this.#start(side);
    } catch (error) {
      this.tally.violate(`replacing the proxy of ${side}: ${String(error)}`);
    } finally {
      this.#epoch += 1;
    }
  }

  /** Samples memory, and prints its progress every ten seconds. */
  async watch(until: number): Promise<void> {
    const began = performance.now();
    for (let turn = 0; performance.now() < until; turn += 1) {
      for (const [side, { pid }] of this.#proxies) this.#sample(side, pid);
      if (turn % 10 === 9) {
        const done = (this.tally.counts.get("connections") ?? 0).toLocaleString("en");
        const seconds = Math.round((performance.now() - began) / 1000);
        console.error(
          `soak: ${seconds} s, ${done} connections, ${this.tally.violations.length} violations`,
        );
      }
      await Bun.sleep(1000);
    }
  }

  /**
   * Waits until no connection is open and records what is left; a dead proxy, or one with a bug in its log, is a
   * violation.
   */
  async settle(): Promise<void> {
    let sockets = await socketsLeft([this.a, this.b]);
    // Keep-alive detects what a cut network has dropped.
    for (let look = 0; look < 10 && sockets.length > 0; look += 1)
      sockets = await socketsLeft([this.a, this.b]);
    this.#leave("sockets", sockets.length, 0);
    for (const socket of sockets) this.tally.left.push(`  ${socket}`);
    for (const [side, { pid, child, output }] of this.#proxies) {
      if (child.exitCode !== null)
        this.tally.violate(`proxy of ${side} has ended: ${output.slice(-500)}`);
      await this.#harvest(side);
      const open = (await metrics(this[side])).get("process_open_fds") ?? Number.NaN;
      this.#leave(`descriptors of the proxy of ${side}`, open, descriptorsAtRestMax);
      this.#sample(side, pid);
    }
  }

  /** Every connection of both pods, with its queues and timers, so that stuck ones are shown. */
  async open(): Promise<string> {
    const look = ["ss", "-Htanoi", "state", "connected", "exclude", "time-wait"];
    const outputs = await Promise.all([this.a, this.b].map(async (pod) => await pod.run(look)));
    return outputs
      .map(({ stdout }, index) => `\n    sockets of ${"ab"[index]}:\n${stdout}`)
      .join("");
  }

  /** The last log lines of both proxies, to explain a violation. */
  said(): string {
    return [...this.#proxies]
      .flatMap(([side, { output }]) =>
        output
          .trimEnd()
          .split("\n")
          .slice(-linesSaid)
          .map((line) => `    ${side}: ${line}`),
      )
      .join("\n");
  }

  async strike(): Promise<void> {
    await this.#network.dispose();
  }

  #leave(what: string, count: number, max: number): void {
    this.tally.left.push(`${what.padEnd(36)} ${count}`);
    if (!(count <= max)) this.tally.violate(`${count} ${what} left`);
  }

  async #start(side: Side): Promise<void> {
    // The network is cut at times: a handshake may lose its SYN and a flight, which TCP retransmits after 1 s each.
    const times = ["--handshake-timeout", "6s", "--drain", "1s", "--tcp-keepalive", "5s"];
    const limits = [...times, "--log-lines", "20"];
    const pod = this[side];
    this.#proxies.set(side, await pod.proxy([...flagsOf(this.#credentials[side]), ...limits]));
  }

  /** Accepts forever and matches each connection to its waiting action by the first eight bytes. */
  async #serve(listener: AgentListener): Promise<void> {
    for (;;) {
      const socket = await listener.accept();
      void this.#introduce(socket).catch(() => undefined);
    }
  }

  async #introduce(socket: AgentSocket): Promise<void> {
    const { text } = await socket.received(idLength);
    const waiting = this.#waiting.get(text.slice(0, idLength));
    if (waiting === undefined) await socket.reset();
    else waiting(socket);
  }

  /** The counters of a proxy before it ends, and bugs in its log. */
  async #harvest(side: Side): Promise<void> {
    for (const [name, count] of await metrics(this[side])) {
      const reason =
        /^tproxy_handshake_failures_total\{direction="inbound",reason="([^"]+)"\}$/.exec(name)?.[1];
      if (reason !== undefined) this.tally.refuse(reason, count);
      const how = /^tproxy_tcp_close_total\{direction="(\w+)",how="([^"]+)"\}$/.exec(name);
      if (how !== null) this.tally.count(`closed, ${how[1]}, ${how[2]}`, count);
    }
    const bug = /^[EF]\d.*$/m.exec(this.#proxies.get(side)?.output ?? "")?.[0];
    if (bug !== undefined) this.tally.violate(`the proxy of ${side} says ${bug}`);
  }

  #sample(side: Side, pid: number): void {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      this.tally.remember(side, Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    } catch {
      // It is being replaced.
    }
  }

  #issue(pod: Pod): CredentialPaths {
    return credentialsFor([pod.address4, pod.address6]);
  }
}

async function failing(client: AgentSocket): Promise<never> {
  const { ending } = await client.finish();
  throw new Error(`the connection ended before it began: ${ending}`);
}

const idLength = 8;
/** Log lines of each proxy printed with a violation. */
const linesSaid = 12;
/** The most descriptors that an idle proxy has open: listeners, event loop, files. */
const descriptorsAtRestMax = 40;
