/**
 * Failures beside the proxy: the other proxy, the network, readers that never read. Bytes arrive, or the application
 * sees the cut.
 */
import { expect, test } from "bun:test";

import { heldBytesMax } from "../../src/config.ts";
import { Mesh } from "../support/mesh.ts";
import { patternDigest } from "../support/pattern.ts";
import { metricOnce } from "../support/status.ts";

test.each(["there", "back"] as const)(
  "the peer's proxy killed in mid-transfer %s: the application sees a reset, not an end",
  async (way) => {
    const mesh = Mesh.create();
    await mesh.startProxies();
    const { client, server } = await mesh.connection();
    const [from, to] = way === "there" ? [client, server] : [server, client];
    from.chatter("a sentence of many, ");
    await to.received(5_000_000);
    await mesh.proxies[way === "there" ? 0 : 1]?.end("SIGKILL");
    expect((await to.finish()).ending).toBe("ECONNRESET");
    expect((await from.finish()).ending).toBe("ECONNRESET");
  },
);

test("the peer's proxy killed while idle: the application sees a reset, not an end", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const { client, server } = await mesh.connection();
  await client.say("x");
  await server.received(1);
  await mesh.proxies[1]?.end("SIGKILL");
  expect((await client.finish()).ending).toBe("ECONNRESET");
  expect((await server.finish()).ending).toBe("ECONNRESET");
});

test("the proxy killed before it has reached the peer: the application sees a reset, not an end", async () => {
  const mesh = Mesh.create();
  const proxy = await mesh.proxy(mesh.a);
  await mesh.c.agent.listen("::", 8080);
  const client = await mesh.a.agent.connect(mesh.c.address4, 8080);
  // The peer never answers the ClientHello: the handshake is still pending.
  await metricOnce(
    mesh.a,
    'tproxy_tcp_open_connections{direction="outbound"}',
    (open) => open === 1,
  );
  await proxy.end("SIGKILL");
  expect((await client.finish()).ending).toBe("ECONNRESET");
});

test("a FIN sent before the kill still arrives as an end", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const { client, server } = await mesh.connection();
  await client.say("all of it");
  await client.end();
  expect((await server.finish()).text).toBe("all of it");
  await mesh.proxies[0]?.end("SIGKILL");
  expect((await server.finish()).ending).toBe("end");
});

test("a network that is cut and restored costs time but no bytes", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const { client, server } = await mesh.connection();
  const bytes = 50_000_000;
  const writing = client.write(bytes);
  await server.received(1_000_000);
  await mesh.b.run(["ip", "link", "set", "eth0", "down"]);
  await mesh.b.run(["ip", "link", "set", "eth0", "up"]);
  await writing;
  await client.end();
  expect((await server.finish()).sha256).toBe(patternDigest(bytes));
});

test("64 writers to readers that never read cost at most 64 times the limit for one connection", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  const before = mesh.anonymousMemory();
  for (let turn = 0; turn < 64; turn += 1) {
    const { client, server } = await mesh.connection();
    await server.pause();
    client.chatter("more and more ");
  }
  await mesh.standstill();
  // Both proxies stall, each with one connection's limit.
  expect(mesh.anonymousMemory() - before).toBeLessThan(2 * 64 * heldBytesMax);
});
