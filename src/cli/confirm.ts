/** `tls-tproxy confirm`: keeps rules that wait for a confirmation. */
import { constants } from "node:os";

import type { Command } from "commander";

import { ProxyError } from "../runtime/errors.ts";
import { listeningProcess } from "../intercept/kernel/running.ts";
import { confirmSignal } from "../proxy/confirmation.ts";
import { add } from "./options.ts";
import { port } from "./values.ts";

export function confirmCommand(program: Command): void {
  const command = program.command("confirm");
  command.description("keep the rules of a proxy that was started with --confirm");
  add(command, "--tcp-port <port>", "the proxy's port", { parse: port, default: [1, "1"] });
  command.action((flags: { readonly tcpPort: number }) => {
    confirm(flags.tcpPort);
  });
}

/** Throws START_FAILED with the remedy. A process that does not handle the signal would be killed by it. */
function confirm(tcpPort: number): void {
  const proxy = listeningProcess(tcpPort);
  if (proxy === null) {
    const text = `no proxy of yours listens on 127.0.0.1:${tcpPort}: is it running here, are you root with CAP_SYS_PTRACE, has it another --tcp-port?`;
    throw new ProxyError("START_FAILED", text);
  }
  if (!proxy.catches(constants.signals[confirmSignal])) {
    const text = `process ${proxy.pid} waits for no confirmation: it was started without --confirm`;
    throw new ProxyError("START_FAILED", text);
  }
  process.kill(proxy.pid, confirmSignal);
  process.stdout.write(`confirmed: process ${proxy.pid} keeps its rules\n`);
}
