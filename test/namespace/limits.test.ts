/** Every wait has a deadline and every count a limit: what exceeds it is reset, counted, and named in the log. */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";

const mesh = Mesh.create();

async function pair(...options: readonly string[]): Promise<readonly [Pod, Pod]> {
  const [from, to] = [mesh.extraPod(), mesh.extraPod()];
  await Promise.all([from, to].map((pod) => mesh.proxy(pod, options)));
  return [from, to];
}

test("a connection beyond --connections is reset and counted; earlier ones continue", async () => {
  const [from, to] = [mesh.extraPod(), mesh.extraPod()];
  await Promise.all([mesh.proxy(from, ["--connections", "2"]), mesh.proxy(to)]);
  const listener = await to.agent.listen("::", 8080);
  const clients = [];
  for (let turn = 0; turn < 2; turn += 1) {
    clients.push(await from.agent.connect(to.address4, 8080));
    await (await listener.accept()).say("x");
    await clients.at(-1)?.received(1);
  }
  expect(await from.agent.attempt(to.address4, 8080)).toBe("ECONNRESET");
  const counted = await metrics(from);
  expect(counted.get('tproxy_tcp_close_total{direction="outbound",how="limit"}')).toBe(1);
  expect(counted.get('tproxy_tcp_open_connections{direction="outbound"}')).toBe(2);
  await clients[0]?.reset();
  await metricOnce(from, 'tproxy_tcp_open_connections{direction="outbound"}', (open) => open === 1);
  await from.agent.connect(to.address4, 8080);
  await listener.accept();
});

test("unauthenticated clients get half of the places; beyond that the oldest is replaced by the newest", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod, ["--connections", "4"]);
  await serveHttp(pod, 8000, "served");
  const open = 'tproxy_tcp_open_connections{direction="inbound"}';
  const oldest = await mesh.c.agent.connect(pod.address4, 8000);
  await metricOnce(pod, open, (count) => count === 1);
  await mesh.c.agent.connect(pod.address4, 8000);
  await metricOnce(pod, open, (count) => count === 2);
  const gone = oldest.finish();
  // While the oldest is still young, the newest is reset.
  const next = async (): Promise<string> => {
    for (;;) {
      const refused = mesh.c.agent.attempt(pod.address4, 8000).then(() => "refused");
      const how = await Promise.race([refused, gone.then(({ ending }) => ending)]);
      if (how !== "refused") return how;
    }
  };
  expect(await next()).toBe("ECONNRESET");
  const counted = await metrics(pod);
  expect(counted.get(open)).toBe(2);
  const refusals = counted.get('tproxy_limit_refusals_total{limit="unverified"}') ?? 0;
  expect(refusals).toBeGreaterThan(0);
  expect(counted.get('tproxy_tcp_close_total{direction="inbound",how="limit"}')).toBe(refusals);
});

test("too few descriptors for --connections lower the limit, and the log says so", async () => {
  const pod = mesh.extraPod();
  const proxy = await pod.proxy(flagsOf(mesh.credentials(pod)), ["prlimit", "--nofile=200:200"]);
  await proxy.says(/I\S+ .* 36 connections at most, not 10000 \(--connections\): 200 descriptors/);
  await serveHttp(pod, 8000, "served");
  for (let turn = 0; turn < 300; turn += 1)
    await mesh.c.agent.connect(pod.address4, 8000).catch(() => null);
  await metricOnce(
    pod,
    'tproxy_tcp_close_total{direction="inbound",how="limit"}',
    (n) => n === 282,
  );
  const open = (await metrics(pod)).get("process_open_fds");
  expect(open).toBeLessThan(200);
});

test("all four legs use TCP keep-alive with the configured time", async () => {
  const [from, to] = await pair("--tcp-keepalive", "100s");
  const listener = await to.agent.listen("::", 8080);
  await from.agent.connect(to.address4, 8080);
  await (await listener.accept()).say("x");
  for (const pod of [from, to]) {
    const { stdout } = await pod.run(["ss", "-Htnop", "state", "established"]);
    const legs = stdout
      .split("\n")
      .filter((line) => line.includes('"tproxy"') || /"bun(\.exe)?"/.test(line));
    const probed = legs.filter((line) => /timer:\(keepalive,1min[23]\dsec,0\)/.test(line));
    expect(probed.length).toBeGreaterThanOrEqual(2);
  }
});

test("keep-alive detects a vanished peer, and the application's connection is reset", async () => {
  const [from, to] = await pair("--tcp-keepalive", "1s", "--tcp-user-timeout", "2s");
  const listener = await to.agent.listen("::", 8080);
  const client = await from.agent.connect(to.address4, 8080);
  await (await listener.accept()).say("x");
  await client.received(1);
  await to.run(["ip", "link", "set", "eth0", "down"]);
  expect((await client.finish()).ending).toBe("ECONNRESET");
});

test("a connection that carries nothing for longer than --idle-timeout is ended, and the log says why", async () => {
  const [from, to] = [mesh.extraPod(), mesh.extraPod()];
  const [proxy] = [await mesh.proxy(from, ["--idle-timeout", "300ms"]), await mesh.proxy(to)];
  await to.agent.listen("::", 8080);
  expect(await from.agent.attempt(to.address4, 8080)).toBe("ECONNRESET");
  await proxy.says(/nothing was carried for longer than --idle-timeout/);
  const idle = 'tproxy_tcp_close_total{direction="outbound",how="idle"}';
  expect((await metrics(from)).get(idle)).toBe(1);
});

test("a destination that never answers is given up after --connect-timeout", async () => {
  const [from, dark] = [mesh.extraPod(), mesh.extraPod()];
  await dark.run(["nft", "-f", "-"], dropAll);
  const proxy = await mesh.proxy(from, ["--connect-timeout", "200ms"]);
  expect(await from.agent.attempt(dark.address4, 8080)).toBe("ECONNRESET");
  await proxy.says(/Failed to connect .*: connection timed out/);
});

test("a peer that accepts and stays silent is given up after --handshake-timeout", async () => {
  const [from, silent] = [mesh.extraPod(), mesh.extraPod()];
  await silent.agent.listen("::", 8080);
  const proxy = await mesh.proxy(from, ["--handshake-timeout", "200ms"]);
  expect(await from.agent.attempt(silent.address4, 8080)).toBe("ECONNRESET");
  await proxy.says(/Failed to connect .*: TLS handshake timed out/);
  const failures = 'tproxy_handshake_failures_total{direction="outbound",reason="timeout"}';
  expect((await metrics(from)).get(failures)).toBe(1);
});

test("silent connections to the status address do not block other requests", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod);
  for (let turn = 0; turn < 200; turn += 1)
    await mesh.c.agent.connect(pod.address4, 15_020).catch(() => null);
  const ask = async (from: Pod): Promise<string> =>
    (await curl(from, `http://${pod.address4}:15020/readyz`)).output;
  expect(await ask(mesh.extraPod())).toBe("ready\n");
  // A client that has just opened two hundred connections has exhausted its rate for a second or so.
  let own = await ask(mesh.c);
  while (own !== "ready\n") own = await ask(mesh.c);
  expect((await metrics(pod)).get("process_open_fds")).toBeLessThan(128);
});

const dropAll =
  "table inet dark { chain input { type filter hook input priority 0; policy drop; }; }\n";
