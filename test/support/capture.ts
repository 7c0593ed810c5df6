/** Packets on a pod's interface, captured by tcpdump. */
import { readFileSync } from "node:fs";

import type { Pod } from "./pods.ts";
import { temporaryDirectory } from "./temporary.ts";

export type Captured = {
  /** The bytes of the capture file. */
  readonly bytes: Buffer;
  /** One line per packet, as tcpdump prints it. */
  readonly lines: readonly string[];
};

/** Captures while `act` runs. */
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
 * Packets with data from `source` that belong to no connection begun on this wire: what an application sends on a
 * formerly diverted connection, if it left in cleartext.
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
