/** `tls-tproxy demo`: a demonstration in namespaces of its own that leaves nothing behind. */
import { Argument, type Command } from "commander";

import { runHost } from "../tools/demo/host.ts";
import { demoInside, demoOutside } from "../tools/demo/run.ts";
import type { HostName } from "../tools/demo/topology.ts";
import { selfCommand, shownCommand } from "./self.ts";

/** The user's command, and the two hidden ones with which it starts itself. */
export function demoCommands(program: Command): void {
  program
    .command("demo")
    .description("show two pods that talk over mutual TLS, and what an outsider can do")
    .action(() => {
      demoOutside([...selfCommand(), "demo-inside"], shownCommand());
    });
  program.command("demo-inside", { hidden: true }).action(async () => {
    await demoInside(selfCommand());
  });
  program
    .command("demo-host", { hidden: true })
    .addArgument(new Argument("<name>").choices(["a", "b", "c"]))
    .action(async (name: HostName) => {
      await runHost(name, selfCommand());
    });
}
