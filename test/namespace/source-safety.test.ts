/** Presenting the client's own address to the application opens no way in, and no cleartext way out. */
import { expect, test } from "bun:test";

import { capture, strayData } from "../support/capture.ts";
import { attempted } from "../support/endings.ts";
import { repairProcessOf } from "../support/repair-process.ts";
import { Mesh } from "../support/mesh.ts";
import type { Running } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { ask, askOnce, serveMirror, tellAndAsk } from "../support/sights.ts";
import { metricGrows, metricOnce } from "../support/status.ts";

const opened = 'tproxy_tcp_open_total{direction="outbound"}';
const connectionsATurn = 20;

test("a stranger who forges the client's address does not reach the application", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const watching = mesh.b.start(["tcpdump", "-i", "lo", "-nSl", "--immediate-mode", "tcp"]);
  await watching.says(/listening on/);
  const { client, server } = await mesh.connection();
  await client.say("from the client");
  await server.received(15);
  const [, from = "", to = "", next = "", acknowledged = ""] = await said(watching, mesh);
  const segment = [...[from, to].map(withColon), next, acknowledged, "from a stranger!"];
  const script = `${import.meta.dir}/../support/injector.ts`;
  const { stdout, stderr } = await mesh.c.run(["bun", script, ...segment]);
  expect([stdout.trim(), stderr]).toEqual(["56", ""]);
  // The next data continues at the same sequence number.
  await client.say("and this");
  expect((await server.received(23)).text).toBe("from the clientand this");
});

/** Converts tcpdump's "10.0.0.1.80". */
function withColon(address: string): string {
  return address.replace(/\.(\d+)$/, ":$1");
}

/** Endpoints, next sequence number and acknowledgement of the client's first data, as tcpdump prints it on b's lo. */
async function said(watching: Running, { a, b }: Mesh): Promise<readonly string[]> {
  const head = `IP (${a.address4}\\.\\d+) > (${b.address4}\\.8080): Flags \\[P?\\.\\]`;
  const data = new RegExp(`${head}, seq \\d+:(\\d+), ack (\\d+),.*\n`);
  // tcpdump may print a segment after the application has read it, and a line in two parts.
  return data.exec(await watching.says(data)) ?? [];
}

test("when others delete the rules, connections whose answers depended on them end", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const { client, server } = await mesh.connection();
  server.chatter("not in clear ");
  await client.received(100_000);
  const proxy = mesh.proxies[1];
  if (proxy === undefined) throw new Error("no proxy");
  process.kill(repairProcessOf(proxy), "SIGKILL"); // It would restore the rules, and with them the return path.
  await proxy.says(/repair process/);
  await mesh.b.run(["nft", "delete", "table", "inet", "tls-tproxy"]);
  expect((await server.finish()).ending).toBe("ECONNRESET");
  expect((await client.finish()).ending).toBe("ECONNRESET");
  await proxy.says(/1 inbound connections that depend on them were reset/);
});

test("connections that begin while the policy exempts their clients are not answered in cleartext", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, policy.flags));
  const script = `${import.meta.dir}/../support/load.ts`;
  await mesh.b.start(["bun", script, "serve"]).says(/serving/);
  const { lines } = await capture(mesh.b, async () => {
    const load = mesh.a.start(["bun", script, "connections", "100000", mesh.b.address4]);
    for (let turn = 1; turn <= 12; turn += 1) {
      const excluding = `outbound: { exclude: [${mesh.a.address4}] }`;
      policy.write(turn % 2 === 1 ? excluding : "{}");
      const replaced = 'tproxy_policy_reloads_total{result="replaced"}';
      await metricOnce(mesh.b, replaced, (count) => count === turn);
      await metricGrows(mesh.a, opened, connectionsATurn);
    }
    await load.end("SIGKILL");
  });
  // Each of them begins with at least three packets.
  expect(lines.length).toBeGreaterThan(12 * 3 * connectionsATurn);
  expect(strayData(lines, mesh.b.address4)).toEqual([]);
});

test("an unrelated policy change leaves connections at the alias alone", async () => {
  const mesh = Mesh.create();
  const outside = `outbound: { exclude: [${mesh.c.address4}] }`;
  const policy = new PolicyFile(outside);
  mesh.proxies.push(await mesh.proxy(mesh.b, policy.flags));
  await serveMirror(mesh.b, 8080);
  const paths = mesh.credentials(mesh.c);
  const { sight, running } = await tellAndAsk(mesh.c, { host: mesh.b.address4, port: 8080, paths });
  expect([sight.seen, sight.at]).toEqual([sight.own, "169.254.77.1:8080"]);
  policy.write(`outbound: { exclude: [${mesh.c.address4}, 10.99.0.0/16] }`);
  const live = 'tproxy_tcp_open_connections{direction="inbound"}';
  const all = await metricOnce(
    mesh.b,
    'tproxy_policy_reloads_total{result="replaced"}',
    (n) => n === 1,
  );
  expect(all.get(live)).toBe(1);
  await running.end();
});

test("no client outside reaches the alias, and the application reaches itself by it", async () => {
  const mesh = Mesh.create();
  await serveMirror(mesh.b, 8080);
  await mesh.c.run(["ip", "route", "add", "169.254.77.1/32", "via", mesh.b.address4]);
  await mesh.c.run(["sysctl", "-qw", "net.ipv4.tcp_syn_retries=1"]);
  const alias = ["169.254.77.1/32", "dev", "lo", "scope", "host"];
  await mesh.b.run(["ip", "addr", "add", ...alias]);
  expect((await askOnce(mesh.c, { host: "169.254.77.1", port: 8080 })).error).toBe(""); // As it would be.
  await mesh.b.run(["ip", "addr", "del", ...alias]);
  await mesh.proxy(mesh.b);
  // Not even the SYN is answered.
  expect(await attempted(mesh.c, "169.254.77.1:8080")).toBe("ETIMEDOUT at connect");
  const question = { host: "169.254.77.1", port: 8080 };
  const { own, seen, error } = await askOnce(mesh.b, question);
  expect([error, seen]).toEqual(["", own]);
});

test("an alias that others remove is noticed, and restored if the privileges allow it", async () => {
  const mesh = Mesh.create();
  const proxy = await mesh.proxy(mesh.b, ["--privileges", "kept"]);
  await mesh.b.run(["ip", "addr", "del", "169.254.77.1/32", "dev", "lo"]);
  await proxy.says(/no longer as they were written/);
  await proxy.says(/rules were restored/);
  expect((await mesh.b.run(["ip", "-br", "addr", "show", "lo"])).stdout).toContain("169.254.77.1");
});

test("five clients of one pod are not affected by the next one's conflict", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  await serveMirror(mesh.b, 8081, mesh.b.address4);
  // The other client's connection comes from a port that would be this one's own spare port.
  const paths = mesh.credentials(mesh.c);
  const strange = await tellAndAsk(mesh.c, {
    host: mesh.b.address4,
    port: 8081,
    paths,
    from: 25_000,
  });
  expect([strange.sight.error, strange.sight.seen.split(":")[0]]).toEqual(["", mesh.c.address4]);
  const { sights, running } = await ask(mesh.a, { host: mesh.b.address4, port: 8081, count: 5 });
  expect(sights.filter(({ own, seen }) => own !== seen)).toEqual([]);
  for (const one of [running, strange.running]) await one.end();
});
