/** A permissive port relays like a strict one: all bytes, each end, every reset. */
import { beforeAll, describe, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { patternDigest } from "../support/pattern.ts";
import { PolicyFile } from "../support/policy.ts";

const mesh = Mesh.create();
const policy = new PolicyFile("inbound: { mode: permissive }");
const flags = [...policy.flags, "--first-bytes-timeout", "100ms"];

beforeAll(async () => {
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, flags));
});

/** The client of pod a has a proxy, that of pod c has none. */
describe.each(["mutual TLS", "plain text"])("%s", (kind) => {
  const connection = async (): ReturnType<Mesh["connection"]> =>
    await mesh.connection(mesh.b.address4, kind === "mutual TLS" ? mesh.a : mesh.c);

  test.each([1, 70_000, 30_000_000])("%i bytes each way, and a half-close", async (bytes) => {
    const { client, server } = await connection();
    await client.write(bytes);
    await client.end();
    const there = await server.finish();
    await server.write(bytes);
    await server.end();
    const back = await client.finish();
    expect([there.ending, there.bytes, there.sha256]).toEqual(["end", bytes, patternDigest(bytes)]);
    expect([back.ending, back.bytes, back.sha256]).toEqual(["end", bytes, patternDigest(bytes)]);
  });

  test("both directions at once, with a reader that pauses", async () => {
    const bytes = 50_000_000;
    const { client, server } = await connection();
    await server.pause();
    const pumps = Promise.all([client.write(bytes), server.write(bytes)]);
    await client.received(bytes);
    await server.resume();
    await pumps;
    await Promise.all([client.end(), server.end()]);
    expect((await server.finish()).sha256).toBe(patternDigest(bytes));
    expect((await client.finish()).sha256).toBe(patternDigest(bytes));
  });

  test.each(["client", "server"] as const)("a reset by the %s arrives as a reset", async (side) => {
    const pair = await connection();
    await pair.client.say("hello");
    await pair.server.received(5);
    await pair[side].reset();
    const other = side === "client" ? pair.server : pair.client;
    expect((await other.finish()).ending).toBe("ECONNRESET");
  });
});

test("no socket is left on any leg", async () => {
  expect(await mesh.socketsLeft()).toEqual([]);
});
