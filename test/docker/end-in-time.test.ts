/** SIGTERM, as a container runtime sends it, ends a sidecar in time and with exit code 0. */
import { expect, test } from "bun:test";

import { Cluster } from "../support/containers.ts";
import { deadlineMs } from "../support/deadline.ts";

const cluster = await Cluster.create();
const b = await cluster.pod("b");
await b.proxy({ credentials: cluster.certificate(b) });

test("without connections the sidecar ends at once", async () => {
  const pod = await cluster.pod("idle");
  const proxy = await pod.proxy({ credentials: cluster.certificate(pod) });
  const began = performance.now();
  expect(await proxy.stop()).toBe(0);
  expect(performance.now() - began).toBeLessThan(deadlineMs(3000));
  await proxy.says(/SIGTERM: 0 connections/);
});

test("with a lasting connection the sidecar ends after --drain, and resets the connection", async () => {
  const pod = await cluster.pod("busy");
  const options = ["--drain", "2s"];
  const proxy = await pod.proxy({ credentials: cluster.certificate(pod), options });
  const listener = await b.agent().listen("::", 9000);
  const [client, server] = await Promise.all([
    pod.agent().connect(b.address4, 9000),
    listener.accept(),
  ]);
  await client.say("hello");
  await server.received(5);
  expect(await proxy.stop()).toBe(0);
  expect((await client.finish()).ending).toBe("ECONNRESET");
  expect((await server.finish()).ending).toBe("ECONNRESET");
  await proxy.says(/ending: the time is up/);
});

test("when the last connection has ended in order, the sidecar ends at once", async () => {
  const pod = await cluster.pod("leaving");
  const proxy = await pod.proxy({ credentials: cluster.certificate(pod) });
  const listener = await b.agent().listen("::", 9001);
  const [client, server] = await Promise.all([
    pod.agent().connect(b.address4, 9001),
    listener.accept(),
  ]);
  await client.say("hello");
  const stopping = proxy.stop();
  await proxy.says(/SIGTERM: 1 connections/);
  await client.say(" again");
  expect((await server.received(11)).text).toBe("hello again");
  await Promise.all([client.end(), server.end()]);
  expect((await server.finish()).ending).toBe("end");
  expect(await stopping).toBe(0);
});
