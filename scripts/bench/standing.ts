/** Memory of open connections that move no data. */
import type { Work } from "./cases.ts";
import type { Done } from "./loads.ts";
import type { Pair } from "./pair.ts";
import { memoryKiB } from "./processes.ts";
import type { StandingMemory } from "./results.ts";

/** Needs freshly started proxies: memory kept from earlier loads would hide the need. */
export async function standing(
  pair: Pair,
  work: Extract<Work, { readonly kind: "standing" }>,
): Promise<Done & { readonly standing: StandingMemory }> {
  const { pids } = pair;
  await Bun.sleep(settleMs);
  const rest = pids.map((pid) => memoryKiB([pid], "RssAnon"));
  const restKiB = Math.max(0, ...pids.map((pid) => memoryKiB([pid], "VmRSS")));
  const client = clientOf(pair, work);
  await stands(client.stderr);
  const growth = pids.map((pid, index) => memoryKiB([pid], "RssAnon") - (rest[index] ?? 0));
  await client.stdin.end();
  const done = JSON.parse(await new Response(client.stdout).text()) as Done;
  await client.exited;
  return {
    ...done,
    standing: {
      restKiB,
      perConnectionKiB: growth.reduce((sum, size) => sum + size, 0) / work.count,
      perConnectionOfOneKiB: Math.max(0, ...growth) / work.count,
    },
  };
}

/** Resolves when the client says so; throws with its other output. */
async function stands(stderr: ReadableStream<Uint8Array>): Promise<void> {
  let said = "";
  for await (const chunk of stderr) {
    said += new TextDecoder().decode(chunk);
    if (said.includes("standing\n")) return;
  }
  throw new Error(`the client ended before its connections stood: ${said}`);
}

function clientOf(
  { a, target }: Pair,
  { count, isStalled }: Extract<Work, { readonly kind: "standing" }>,
): Bun.Subprocess<"pipe", "pipe", "pipe"> {
  const script = `${import.meta.dir}/standing-client.ts`;
  const command = ["bun", script, isStalled ? "stalled" : "idle", String(count), target];
  return Bun.spawn(["ip", "netns", "exec", a.namespace, ...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    timeout: standMsMax,
  });
}

/** A program needs more to start than at rest. */
const settleMs = 2000;
/** If a reader read after all, they would send forever. */
const standMsMax = 120_000;
