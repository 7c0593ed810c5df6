/** One host of the demo: a process in its own network namespace that executes orders from stdin. */
import { readlinkSync } from "node:fs";

import { newNamespace, unshare } from "../namespaces.ts";
import { serveApplication, type Application } from "./application.ts";
import { ask } from "./client.ts";
import { configureHost } from "./links.ts";
import { linesOf, type Order, type HostReport } from "./messages.ts";
import { ProxyProcess } from "./proxy-process.ts";
import { hosts, type HostName } from "./topology.ts";

/** Runs until stdin ends. `self`: the command that starts this executable. */
export async function runHost(name: HostName, self: readonly string[]): Promise<void> {
  unshare(newNamespace.network);
  report({ kind: "here", pid: process.pid, network: readlinkSync("/proc/self/ns/net") });
  const host = new HostProcess(name, self);
  for await (const line of linesOf(Bun.stdin.stream())) report(await host.answer(line));
}

class HostProcess {
  readonly #name: HostName;
  readonly #self: readonly string[];
  #application: Application | null = null;
  #proxy: ProxyProcess | null = null;

  constructor(name: HostName, self: readonly string[]) {
    this.#name = name;
    this.#self = self;
  }

  async answer(line: string): Promise<HostReport> {
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the director is this program
      const order = JSON.parse(line) as Order;
      return { kind: "done", gives: await this.#act(order) };
    } catch (error) {
      return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
    }
  }

  async #act(order: Order): Promise<unknown> {
    switch (order.name) {
      case "network":
        configureHost(this.#name);
        return null;
      case "serve":
        this.#application = serveApplication(hosts[this.#name].title, order.takes.port);
        return null;
      case "ask":
        return await ask(order.takes);
      case "heard":
        return this.#application?.heard ?? [];
      case "startProxy":
        this.#proxy = new ProxyProcess(this.#self, order.takes);
        return await this.#proxy.start();
      case "endProxy":
        await this.#proxy?.end(order.takes);
        return null;
      case "findLine":
        return (await this.#proxy?.findLine(order.takes.text, order.takes.msMax)) ?? null;
      case "removeRules":
        return { status: await this.#run("rules", "--remove") };
    }
  }

  async #run(...command: readonly string[]): Promise<number> {
    const child = Bun.spawn([...this.#self, ...command], { stdin: "ignore", stdout: "ignore" });
    return await child.exited;
  }
}

function report(message: HostReport): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
