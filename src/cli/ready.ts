/** `tls-tproxy ready`: whether the local proxy is ready; for health checks in an image without other programs. */
import type { Command } from "commander";

import { askReadiness, type Readyz } from "../status/ask.ts";
import type { SocketAddress } from "../net/address.ts";
import { escapeLines } from "../runtime/log/escape.ts";
import type { Item } from "../tools/report.ts";
import { addJsonOption, writeReport, type JsonFlag } from "./json.ts";
import { add } from "./options.ts";
import { duration, statusAddress } from "./values.ts";

type ReadyFlags = JsonFlag & { readonly statusAddress: SocketAddress; readonly wait?: number };

export function readyCommand(program: Command): void {
  const command = program.command("ready");
  command.description("report whether the proxy here is ready, as /readyz does: exit code 0 or 1");
  add(command, "--status-address <address>", "where the proxy serves /readyz", {
    parse: statusAddress,
    default: [statusAddress(":15020"), ":15020"],
  });
  add(command, "--wait <duration>", "ask again until the proxy is ready, for at most this long", {
    parse: duration,
  });
  addJsonOption(command);
  command.action(async (flags: ReadyFlags) => {
    await ready(flags, command);
  });
}

async function ready(
  { statusAddress: address, wait = 0, json }: ReadyFlags,
  command: Command,
): Promise<void> {
  const until = performance.now() + wait;
  let last = await askReadiness(address, askMsMax);
  while (last?.ready !== true && performance.now() < until) {
    // oxlint-disable-next-line no-await-in-loop -- one question after the other
    await Bun.sleep(pauseMs);
    // oxlint-disable-next-line no-await-in-loop -- the same
    last = await askReadiness(address, askMsMax);
  }
  if (json === true) {
    writeReport(command, last?.ready === true, itemsOf(last));
    return;
  }
  process.stdout.write(`${escapeLines(textOf(last))}\n`);
  process.exitCode = last?.ready === true ? 0 : 1;
}

/** One for each line of the answer: the reasons, or the notes below the word `ready`. */
function itemsOf(last: Readyz | null): readonly Item[] {
  if (last === null) return [{ id: "no-answer", level: "bad", message: textOf(last) }];
  return textOf(last)
    .split("\n")
    .map((message, index): Item => {
      if (!last.ready) return { id: "not-ready", level: "bad", message };
      return { id: "ready", level: index === 0 ? "good" : "warning", message };
    });
}

function textOf(last: Readyz | null): string {
  return last?.text ?? "no proxy answers here (--status-address)";
}

const pauseMs = 100;
const askMsMax = 2000;
