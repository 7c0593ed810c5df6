/** However many connections one client holds, other clients can connect, and so can the pod's own application. */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Crowd, Pod, Running } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";

const openInbound = 'tproxy_tcp_open_connections{direction="inbound"}';
const refusedShare = 'tproxy_limit_refusals_total{limit="share"}';

async function start(connections: number): Promise<{ mesh: Mesh; proxy: Running }> {
  const mesh = Mesh.create();
  const [, proxy] = await Promise.all([
    mesh.proxy(mesh.a),
    mesh.proxy(mesh.b, ["--connections", String(connections)]),
  ]);
  await Promise.all([mesh.a, mesh.b].map(async (pod) => await serveHttp(pod, 8000, "served")));
  return { mesh, proxy };
}

/** `count` lasting connections from a pod's peer to pod b; each one that ends is replaced. */
function hold(mesh: Mesh, count: number, from = mesh.c, to = mesh.b.address4): Crowd {
  const { certificate, key } = mesh.credentials(from);
  return from.crowd("handshake", 200 * count, count, to, "8000", certificate, key);
}

async function expectServed(from: Pod, address: string): Promise<void> {
  const host = address.includes(":") ? `[${address}]` : address;
  expect((await curl(from, `http://${host}:8000/`)).output).toBe("served");
}

test.each(["address4", "address6"] as const)(
  "a peer that takes all it can leaves places for another peer and for the pod itself, over %s",
  async (family) => {
    const { mesh, proxy } = await start(80);
    const crowd = hold(mesh, 80, mesh.c, mesh.b[family]);
    await metricOnce(mesh.b, refusedShare, (count) => count >= 10);
    // 80 less one eighth for outbound connections; eight ninths of the rest, and the handshakes in progress.
    await metricOnce(mesh.b, openInbound, (count) => count >= 62 && count <= 69);
    await expectServed(mesh.a, mesh.b[family]);
    await expectServed(mesh.b, mesh.a[family]);
    await proxy.says(/W\S+ .* limits\] inbound connections are reset: one peer or one source/);
    crowd.running.child.kill("SIGKILL");
  },
);

test("with all inbound places taken, outbound connections get the rest", async () => {
  const { mesh } = await start(16);
  const crowds = [hold(mesh, 40), hold(mesh, 40, mesh.extraPod())];
  const refused = 'tproxy_tcp_close_total{direction="inbound",how="limit"}';
  await metricOnce(mesh.b, refused, (count) => count >= 100);
  expect((await metrics(mesh.b)).get(openInbound)).toBeLessThanOrEqual(14);
  for (let turn = 0; turn < 3; turn += 1) await expectServed(mesh.b, mesh.a.address4);
  for (const { running } of crowds) running.child.kill("SIGKILL");
});

test("500 clients behind one address can all connect", async () => {
  const { mesh } = await start(1000);
  const crowd = hold(mesh, 500);
  await crowd.standing();
  await metricOnce(mesh.b, openInbound, (count) => count === 500);
  await expectServed(mesh.a, mesh.b.address4);
  const counted = await metrics(mesh.b);
  expect(counted.get('tproxy_tcp_close_total{direction="inbound",how="limit"}')).toBe(0);
  crowd.running.child.kill("SIGKILL");
});

test("places that a peer releases are available to others at once", async () => {
  const { mesh } = await start(20);
  const crowd = hold(mesh, 40);
  await metricOnce(mesh.b, refusedShare, (count) => count >= 10);
  crowd.running.child.kill("SIGKILL");
  await metricOnce(mesh.b, openInbound, (count) => count === 0);
  const next = hold(mesh, 14);
  await metricOnce(mesh.b, openInbound, (count) => count === 14);
  next.running.child.kill("SIGKILL");
});
