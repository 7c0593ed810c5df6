/** The entries a connection takes in the kernel's conntrack table: none, or two if an option needs them. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { ask, serveMirror } from "../support/sights.ts";
import { metrics } from "../support/status.ts";

const connections = 20;

async function entries(pod: Pod): Promise<number> {
  const count = (await metrics(pod)).get("tproxy_conntrack_entries") ?? Number.NaN;
  const { stdout } = await pod.run(["cat", "/proc/sys/net/netfilter/nf_conntrack_count"]);
  // The query itself may be tracked.
  expect(Math.abs(count - Number(stdout))).toBeLessThanOrEqual(2);
  return count;
}

test.each([
  ["by default", [], 0],
  ["with a port left in cleartext", ["--exclude-inbound-port", "9999"], 2],
] as const)("%s", async (_, options, each) => {
  const mesh = Mesh.create();
  await mesh.startProxies(...options);
  await serveMirror(mesh.b, 8080);
  const before = [await entries(mesh.a), await entries(mesh.b)];
  const { sights, running } = await ask(mesh.a, {
    host: mesh.b.address4,
    port: 8080,
    count: connections,
  });
  expect(sights.filter(({ own, seen }) => own !== seen)).toEqual([]);
  for (const [at, pod] of [mesh.a, mesh.b].entries()) {
    const grown = (await entries(pod)) - (before[at] ?? 0);
    // The request for metrics is also a connection.
    expect(Math.abs(grown - connections * each)).toBeLessThanOrEqual(each === 0 ? 0 : 4);
  }
  expect((await metrics(mesh.b)).get("tproxy_conntrack_entries_max")).toBeGreaterThan(0);
  await running.end();
});
