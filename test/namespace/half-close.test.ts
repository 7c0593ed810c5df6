/**
 * A half-close on one side is a half-close on the other: all bytes arrive, then the end, and the other direction
 * stays open.
 */
import { beforeAll, describe, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { patternDigest } from "../support/pattern.ts";

const mesh = Mesh.create();
const sizes = [0, 1, 70_000, 20_000_000];

beforeAll(async () => {
  await mesh.startProxies();
});

describe.each(sizes)("%i bytes", (bytes) => {
  test("a half-close by the client keeps the server's direction open", async () => {
    const { client, server } = await mesh.connection();
    await client.write(bytes);
    await client.end();
    const there = await server.finish();
    await server.write(bytes);
    await server.end();
    const back = await client.finish();
    expect([there.ending, there.bytes, there.sha256]).toEqual(["end", bytes, patternDigest(bytes)]);
    expect([back.ending, back.bytes, back.sha256]).toEqual(["end", bytes, patternDigest(bytes)]);
  });

  test("a half-close by the server keeps the client's direction open", async () => {
    const { client, server } = await mesh.connection();
    await server.write(bytes);
    await server.end();
    const back = await client.finish();
    await client.write(bytes);
    await client.end();
    const there = await server.finish();
    expect([back.ending, back.bytes, back.sha256]).toEqual(["end", bytes, patternDigest(bytes)]);
    expect([there.ending, there.bytes, there.sha256]).toEqual(["end", bytes, patternDigest(bytes)]);
  });

  test("a simultaneous end from both sides loses nothing", async () => {
    const { client, server } = await mesh.connection();
    await Promise.all([client.write(bytes), server.write(bytes)]);
    await Promise.all([client.end(), server.end()]);
    const [back, there] = await Promise.all([client.finish(), server.finish()]);
    expect([back.ending, back.sha256]).toEqual(["end", patternDigest(bytes)]);
    expect([there.ending, there.sha256]).toEqual(["end", patternDigest(bytes)]);
  });
});

test("no socket is left on any of the four legs", async () => {
  expect(await mesh.socketsLeft()).toEqual([]);
});

test.each([3, 7])(
  "%d MB that a slow reader has not read, after both sides have ended, outlive --linger",
  async (megabytes) => {
    const own = Mesh.create();
    await own.startProxies("--linger", "200ms");
    const { client, server } = await own.connection();
    await client.pause();
    await client.end();
    expect((await server.finish()).ending).toBe("end");
    const sent = server.write(megabytes * 1e6).then(async () => server.end());
    // Part of it waits in the kernel's buffers of every leg for longer than the linger time.
    await own.standstill();
    await Bun.sleep(500);
    await client.resume();
    await sent;
    const { bytes, ending } = await client.finish();
    expect([bytes, ending]).toEqual([megabytes * 1e6, "end"]);
  },
);
