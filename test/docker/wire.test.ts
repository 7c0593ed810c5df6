/** The bridge between pods carries TLS 1.3 and nothing else. */
import { expect, test } from "bun:test";

import { readWire } from "../../src/tools/demo/wire.ts";
import { Cluster, resetCodes } from "../support/containers.ts";

const cluster = await Cluster.create();
const [a, b, c] = await Promise.all([cluster.pod("a"), cluster.pod("b"), cluster.pod("c")]);
await Promise.all(
  [a, b].map(async (pod) => await pod.proxy({ credentials: cluster.certificate(pod) })),
);
const texts = ["hello from", "GET /", "SECRET"];

test("between pods with proxies only TLS passes, over IPv4 and IPv6, in both directions", async () => {
  const capture = await cluster.capture();
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const)
    for (const host of [to.address4, `[${to.address6}]`])
      expect((await from.curl(`http://${host}:8080/SECRET`)).stdout).toBe(
        `hello from ${to.title}\n`,
      );
  await mark();
  const addresses = [a.address4, b.address4, a.address6, b.address6];
  const wire = readWire(await capture.finish(marker), addresses, texts);
  expect(wire).toMatchObject({
    connections: 4,
    tls13Handshakes: 4,
    foreignBytes: 0,
    missingBytes: 0,
  });
  expect(wire.applicationRecords).toBeGreaterThan(8);
  expect([...wire.texts.values()]).toEqual([0, 0, 0]);
});

test("control: the cleartext of a pod without a proxy is captured", async () => {
  const capture = await cluster.capture();
  const bare = await cluster.pod("bare");
  expect((await c.curl(`http://${bare.address4}:8080/SECRET`)).stdout).toBe("hello from bare\n");
  await mark();
  const wire = readWire(await capture.finish(marker), [c.address4, bare.address4], texts);
  expect(wire.foreignBytes).toBeGreaterThan(0);
  expect([...wire.texts.values()]).not.toContain(0);
});

test("a pod sends nothing in cleartext to a server without a proxy", async () => {
  const capture = await cluster.capture();
  expect((await a.curl(`http://${c.address4}:8080/SECRET`)).code).toBeOneOf([...resetCodes]);
  await mark();
  const wire = readWire(
    await capture.finish(marker),
    [a.address4, c.address4],
    ["GET /", "SECRET"],
  );
  expect(wire.connections).toBe(1);
  expect([...wire.texts.values()]).toEqual([0, 0]);
});

const marker = "the last packet of this capture";

/** UDP is not the proxy's: a datagram from c to the gateway passes the bridge after everything sent before it. */
async function mark(): Promise<void> {
  const script =
    `const socket = await Bun.udpSocket({});` +
    `socket.send(${JSON.stringify(marker)}, 9, ${JSON.stringify(`${cluster.prefix.address4}.1`)}); socket.close();`;
  expect((await c.exec("bun", "-e", script)).code).toBe(0);
}
