/** Memory of connections that are open and silent. */
import type { Done } from "./loads.ts";
import type { Pair } from "./pair.ts";
import { memoryKiB } from "./processes.ts";
import type { IdleMemory } from "./results.ts";

/** Wants proxies that have just been started: what they keep of earlier loads would hide what they need. */
export async function standing(
  pair: Pair,
  count: number,
): Promise<Done & { readonly idle: IdleMemory }> {
  const { a, pids, target } = pair;
  const rest = memoryKiB(pids, "RssAnon");
  const resident = memoryKiB(pids, "VmRSS");
  const command = ["bun", `${import.meta.dir}/client.ts`, "idle", String(count), target];
  const client = Bun.spawn(["ip", "netns", "exec", a.namespace, ...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await client.stderr.getReader().read();
  if (said.done) throw new Error("the client of idle connections ended before they stood");
  const full = memoryKiB(pids, "RssAnon");
  await client.stdin.end();
  const done = JSON.parse(await new Response(client.stdout).text()) as Done;
  await client.exited;
  const idle = {
    restKiB: pids.length === 0 ? 0 : resident / pids.length,
    perConnectionKiB: (full - rest) / count,
  };
  return { ...done, idle };
}
