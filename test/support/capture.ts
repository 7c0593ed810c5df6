/** What passes a pod's interface, as tcpdump tells it. */
import { readFileSync } from "node:fs";

import type { Pod } from "./pods.ts";
import { temporaryDirectory } from "./temporary.ts";

export type Captured = {
  /** All that was captured, as it stands in the file. */
  readonly bytes: Buffer;
  /** A line a packet: tcpdump's own words. */
  readonly lines: readonly string[];
};

/** Captures while `act` goes on. */
export async function capture(pod: Pod, act: () => Promise<void>): Promise<Captured> {
  const file = `${temporaryDirectory()}/capture`;
  const how = ["-n", "-s", "200", "-B", "65536", "-U", "--immediate-mode", "-Z", "root"];
  const capturing = pod.start(["tcpdump", "-i", "eth0", ...how, "-w", file]);
  await capturing.says(/listening on/);
  await act();
  await capturing.end("SIGINT");
  const { stdout } = await pod.run(["tcpdump", "-n", "-S", "-r", file]);
  return { bytes: readFileSync(file), lines: stdout.split("\n") };
}

/**
 * Packets with data from `source` of connections that have not begun on this wire: what an application says on a
 * connection that was diverted, had it left in clear.
 */
export function strayData(lines: readonly string[], source: string): readonly string[] {
  const begun = new Set<string>();
  const stray: string[] = [];
  for (const line of lines) {
    const match = /IP6? (\S+) > (\S+): Flags \[([^\]]+)\].* length (\d+)/.exec(line);
    const [, from = "", to = "", flags = "", length = "0"] = match ?? [];
    if (!from.startsWith(`${source}.`)) continue;
    if (flags.includes("S")) begun.add(`${from} ${to}`);
    else if (length !== "0" && !begun.has(`${from} ${to}`)) stray.push(line);
  }
  return stray;
}
