/** The proxy reads no more than the receiver takes: buffers stay small, nothing is lost, nothing stalls for good. */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { patternDigest } from "../support/pattern.ts";

const mesh = Mesh.create();
const gigabyte = 1_000_000_000;

beforeAll(async () => {
  await mesh.startProxies();
});

test("one gigabyte each way arrives complete", async () => {
  for (const way of ["there", "back"] as const) {
    const { client, server } = await mesh.connection();
    const [from, to] = way === "there" ? [client, server] : [server, client];
    await Promise.all([from.write(gigabyte), to.received(gigabyte)]);
    await from.end();
    const got = await to.finish();
    await to.end();
    expect([got.bytes, got.sha256]).toEqual([gigabyte, patternDigest(gigabyte)]);
  }
});

test("full duplex with both buffers full loses nothing", async () => {
  const bytes = 50_000_000;
  const { client, server } = await mesh.connection();
  await Promise.all([client.pause(), server.pause()]);
  const writes = Promise.all([client.write(bytes), server.write(bytes)]);
  await mesh.standstill();
  await Promise.all([client.resume(), server.resume()]);
  await writes;
  await Promise.all([client.end(), server.end()]);
  const [back, there] = await Promise.all([client.finish(), server.finish()]);
  expect([back.sha256, there.sha256]).toEqual([patternDigest(bytes), patternDigest(bytes)]);
});

test("a reader that stops limits what the proxies buffer", async () => {
  const { client, server } = await mesh.connection();
  await server.pause();
  const before = mesh.anonymousMemory();
  const writing = client.write(200_000_000);
  await mesh.standstill();
  const after = mesh.anonymousMemory();
  await server.resume();
  await writing;
  await client.end();
  expect((await server.finish()).sha256).toBe(patternDigest(200_000_000));
  await server.end();
  // The client offered 200 MB; the kernel's socket buffers are not process memory.
  expect(after - before).toBeLessThan(32_000_000);
});

test("an RST found by the proxy's own write, after it stopped reading, ends both sides", async () => {
  const own = Mesh.create();
  await own.startProxies();
  const { client, server } = await own.connection();
  await server.pause();
  const writing = client.write(200_000_000).catch(() => undefined);
  await own.standstill();
  // While the proxy is stopped, data for the client arrives and then the client's RST.
  const [proxy] = own.proxies;
  proxy?.child.kill("SIGSTOP");
  await server.say("too late");
  const waits = new RegExp(`^ESTAB +[1-9]\\d* .*${own.b.address4}:8080`, "m");
  while (!waits.test((await own.a.run(["ss", "-Htn"])).stdout));
  await client.reset();
  proxy?.child.kill("SIGCONT");
  await proxy?.says(/Closed connection .*connection reset by peer/);
  await server.resume();
  expect((await server.finish()).ending).toBe("ECONNRESET");
  await writing;
});

test("a slow reader gets everything in order", async () => {
  const bytes = 20_000_000;
  const { client, server } = await mesh.connection();
  const writing = client.write(bytes).then(async () => client.end());
  for (let read = 500_000; read < bytes; read += 500_000) {
    await server.pause();
    await server.resume();
    await server.received(read);
  }
  await writing;
  expect((await server.finish()).sha256).toBe(patternDigest(bytes));
});
