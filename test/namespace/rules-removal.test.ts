/** Rules are removed last: when the proxy ends, no byte of a diverted connection is sent in cleartext. */
import { expect, test } from "bun:test";

import { capture } from "../support/capture.ts";
import { rules } from "../support/kernel-state.ts";
import { Mesh, type Connection } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

const marker = "not in clear ";
const writers = 10;

/** Captures on the pod's interface while `act` runs; true if the marker was seen. */
async function showsMarker(pod: Pod, act: () => Promise<void>): Promise<boolean> {
  return (await capture(pod, act)).bytes.includes(marker);
}

/** Connections whose writers write without pause. */
async function chatting(mesh: Mesh): Promise<readonly Connection[]> {
  const connections: Connection[] = [];
  for (let turn = 0; turn < writers; turn += 1) connections.push(await mesh.connection());
  for (const { client } of connections) client.chatter(marker);
  for (const { server } of connections) await server.received(1_000_000);
  return connections;
}

test("control: without proxies the same capture shows the text", async () => {
  const mesh = Mesh.create();
  expect(await showsMarker(mesh.a, async () => void (await chatting(mesh)))).toBe(true);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s with rule removal resets connections first, then removes the rules",
  async (signal) => {
    const mesh = Mesh.create();
    await mesh.startProxies("--remove-rules-on-exit", "--drain", "1ms");
    const connections = await chatting(mesh);
    const shown = await showsMarker(mesh.a, async () => {
      expect(await mesh.proxies[0]?.end(signal)).toBe(0);
      for (const { client } of connections) await client.finish();
    });
    expect(shown).toBe(false);
  },
);

test("rules --remove refuses beside a running proxy, and names the next step", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const { client, server } = await mesh.connection();
  const refused = await rules(mesh.a, "--remove").catch(String);
  expect(refused).toMatch(/end it first with SIGTERM.*--force/);
  await client.say("still here");
  expect((await server.received(10)).text).toBe("still here");
});
