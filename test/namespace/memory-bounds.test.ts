/**
 * The cost of unauthenticated clients and stalled readers is limited by the available memory, and others are served
 * meanwhile.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../src/identity/issue.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const mebibyte = 2 ** 20;

/** Pod a with a proxy; pod b with a proxy that plans for 64 MiB, and an application. */
async function start(...options: readonly string[]): Promise<{ mesh: Mesh; proxy: Running }> {
  const mesh = Mesh.create();
  const [, proxy] = await Promise.all([
    mesh.proxy(mesh.a),
    mesh.proxy(mesh.b, ["--memory", "64MiB", "--handshake-timeout", "60s", ...options]),
  ]);
  await serveHttp(mesh.b, 8000, "served");
  return { mesh, proxy };
}

async function expectServed({ a, b }: Mesh, address = b.address4): Promise<void> {
  const host = address.includes(":") ? `[${address}]` : address;
  expect((await curl(a, `http://${host}:8000/`)).output).toBe("served");
}

function anonymous({ pid }: Running): number {
  const [, kilobytes] =
    /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** The proxy's peak memory until `count` connections have been refused by the limit. */
async function mostUntil(
  mesh: Mesh,
  proxy: Running,
  limit: string,
  count: number,
): Promise<number> {
  let most = 0;
  await metricOnce(mesh.b, `tproxy_limit_refusals_total{limit="${limit}"}`, (refused) => {
    most = Math.max(most, anonymous(proxy));
    return refused >= count;
  });
  return most;
}

/** An unsigned chain of nearly 100 KB, and its key. */
function hugeChain(): readonly [chain: string, key: string] {
  const directory = temporaryDirectory();
  const ips = Array.from({ length: 1000 }, (_, index) => `10.${index >> 8}.${index & 255}.1`);
  const leaf = issueLeaf(issueAuthority("nobody"), { ips });
  const files = [`${directory}/chain.pem`, `${directory}/key.pem`] as const;
  writeFileSync(files[0], leaf.certificatePem.repeat(13));
  writeFileSync(files[1], leaf.keyPem, { mode: 0o600 });
  return files;
}

test.each(["address4", "address6"] as const)(
  "600 incomplete certificates do not exhaust memory, and a peer is served meanwhile, over %s",
  async (address) => {
    const { mesh, proxy } = await start();
    await expectServed(mesh);
    const before = anonymous(proxy);
    const args = [mesh.b[address], "8000", ...hugeChain()];
    const crowd = mesh.c.crowd("half-certificate", 600, 600, ...args);
    const most = await mostUntil(mesh, proxy, "unverified-memory", 100);
    await expectServed(mesh, mesh.b[address]);
    expect(most - before).toBeLessThan(30 * mebibyte);
    const now = await metrics(mesh.b);
    expect(now.get("tproxy_unverified_bytes")).toBeLessThan(3 * mebibyte);
    await proxy.says(/W\S+ .* limits\] inbound connections are reset during their handshakes/);
    crowd.running.child.kill("SIGKILL");
  },
);

test.each(["silent", "half-hello", "drip"])(
  "%s clients make room for a peer, however many there are",
  async (kind) => {
    const { mesh } = await start("--connections", "400");
    const crowd = mesh.c.crowd(kind, 600, 600, mesh.b.address4, "8000");
    const made = 'tproxy_limit_refusals_total{limit="unverified"}';
    await metricOnce(mesh.b, made, (count) => count >= 200);
    for (let turn = 0; turn < 5; turn += 1) await expectServed(mesh);
    crowd.running.child.kill("SIGKILL");
  },
);

test("a client has half of --handshake-timeout to finish a handshake that it has begun", async () => {
  const { mesh, proxy } = await start("--handshake-timeout", "2s");
  const crowd = mesh.c.crowd("half-certificate", 1, 1, mesh.b.address4, "8000", ...hugeChain());
  expect((await crowd.end()).endings).toEqual({ ECONNRESET: 1 });
  const line = await proxy.says(/TLS handshake timed out.* ms=\d+/);
  const took = Number(/ms=(\d+)/.exec(line)?.[1]);
  expect(took).toBeLessThan(2000);
  expect(took).toBeGreaterThanOrEqual(1000);
});

test("paused handshakes continue where they stopped, and all are served", async () => {
  const { mesh } = await start();
  const { certificate, key } = mesh.credentials(mesh.c);
  const args = [mesh.b.address4, "8000", certificate, key];
  const crowd = mesh.c.crowd("request", 800, 800, ...args);
  expect((await crowd.end()).endings).toEqual({ answered: 800 });
});

test.each([
  ["stalled-reader", "pour"],
  ["stalled-writer", "ignore"],
] as const)(
  "400 connections of a peer, %s, buffer no more than memory allows",
  async (kind, application) => {
    const { mesh, proxy } = await start();
    await mesh.b
      .start(["bun", `${import.meta.dir}/../support/stalling.ts`, application, "8081"])
      .says(/listening/);
    await expectServed(mesh);
    const before = anonymous(proxy);
    const { certificate, key } = mesh.credentials(mesh.c);
    const args = [mesh.b.address4, "8081", certificate, key];
    const crowd = mesh.c.crowd(kind, 400, 400, ...args);
    const most = await mostUntil(mesh, proxy, "held-memory", 20);
    await expectServed(mesh);
    expect(most - before).toBeLessThan(44 * mebibyte);
    const now = await metrics(mesh.b);
    expect(now.get("tproxy_held_bytes")).toBeLessThanOrEqual(now.get("tproxy_held_max_bytes") ?? 0);
    await proxy.says(/W\S+ .* limits\] connections are reset: their readers have stopped/);
    crowd.running.child.kill("SIGKILL");
  },
);

test("the peer with the most buffered data loses connections; one with little keeps its own", async () => {
  const { mesh } = await start();
  await mesh.b
    .start(["bun", `${import.meta.dir}/../support/stalling.ts`, "pour", "8081"])
    .says(/listening/);
  const modest = await mesh.a.agent.connect(mesh.b.address4, 8081);
  await modest.received(1);
  await modest.pause();
  const { certificate, key } = mesh.credentials(mesh.c);
  const args = [mesh.b.address4, "8081", certificate, key];
  const crowd = mesh.c.crowd("stalled-reader", 300, 300, ...args);
  await metricOnce(
    mesh.b,
    'tproxy_limit_refusals_total{limit="held-memory"}',
    (count) => count > 20,
  );
  crowd.running.child.kill("SIGKILL");
  await modest.resume();
  await modest.received(8 * mebibyte);
  await modest.reset();
});

test("incomplete certificates of foreign servers are limited too, and other destinations are reached", async () => {
  const mesh = Mesh.create();
  await Promise.all([mesh.proxy(mesh.a, ["--memory", "64MiB"]), mesh.proxy(mesh.b)]);
  await serveHttp(mesh.b, 8000, "served");
  await halfServer(mesh.c);
  const attempts = Array.from({ length: 200 }, () => mesh.a.agent.attempt(mesh.c.address4, 8443));
  const refused = 'tproxy_limit_refusals_total{limit="unverified-memory"}';
  await metricOnce(mesh.a, refused, (count) => count > 10);
  await expectServed(mesh);
  expect(new Set(await Promise.all(attempts))).toEqual(new Set(["ECONNRESET"]));
});

async function halfServer(pod: Pod): Promise<void> {
  const [chain, key] = hugeChain();
  const program = `${import.meta.dir}/../support/half-server.ts`;
  await pod.start(["bun", program, "8443", chain, key]).says(/listening/);
}

test("the limits derived from memory are logged at the start", async () => {
  const mesh = Mesh.create();
  const proxy = await mesh.proxy(mesh.b, ["--memory", "256MiB"]);
  await proxy.says(
    /I\S+ .* limits\] 7192 connections at most: .* from 256 MiB of memory \(--memory\)/,
  );
});
