/** A paused sidecar: open connections wait for it, new ones are refused in time, and nothing passes in cleartext. */
import { expect, test } from "bun:test";

import { Cluster } from "../support/containers.ts";
import { docker } from "../support/docker.ts";

const cluster = await Cluster.create();
const [a, b, c] = await Promise.all([cluster.pod("a"), cluster.pod("b"), cluster.pod("c")]);
const proxyA = await a.proxy({
  credentials: cluster.certificate(a),
  options: ["--handshake-timeout", "1s"],
});
const proxyB = await b.proxy({ credentials: cluster.certificate(b) });

test("docker pause and unpause of the server's sidecar", async () => {
  const listener = await b.agent().listen("::", 9000);
  const [client, server] = await Promise.all([
    a.agent().connect(b.address4, 9000),
    listener.accept(),
  ]);
  await client.say("before");
  await server.received(6);

  await docker("pause", proxyB.name);
  // More than the kernel and the proxies buffer.
  const written = client.write(bytes);
  const { code, stderr } = await a.curl(`http://${b.address4}:8080/`);
  expect(code).toBe(56);
  expect(stderr).toContain("Connection reset by peer");
  await proxyA.says(new RegExp(`destination \\[${b.address4}:8080\\]: .*(timed? ?out|within)`));
  expect((await c.exec("curl", "-s", "-m", "2", `http://${b.address4}:8080/`)).stdout).toBe("");
  expect((await b.exec("curl", "-s", "-m", "2", `http://${c.address4}:8080/`)).stdout).toBe("");
  expect((await b.curl("http://127.0.0.1:8080/")).stdout).toBe("hello from b\n");

  await docker("unpause", proxyB.name);
  await written;
  expect((await server.received(bytes + 6)).bytes).toBe(bytes + 6);
  expect((await a.curl(`http://${b.address4}:8080/`)).stdout).toBe("hello from b\n");
  expect((await b.curl("http://127.0.0.1:15020/readyz")).stdout).toBe("ready\n");
});

test("docker pause and unpause of the client's sidecar", async () => {
  const listener = await b.agent().listen("::", 9001);
  const [client, server] = await Promise.all([
    a.agent().connect(b.address4, 9001),
    listener.accept(),
  ]);
  await client.say("before");
  await server.received(6);
  await docker("pause", proxyA.name);
  await client.say("during");
  expect((await a.exec("curl", "-s", "-m", "2", `http://${c.address4}:8080/`)).stdout).toBe("");
  await docker("unpause", proxyA.name);
  expect((await server.received(12)).text).toBe("beforeduring");
  expect((await a.curl(`http://${b.address4}:8080/`)).stdout).toBe("hello from b\n");
});

const bytes = 32 * 1024 * 1024;
