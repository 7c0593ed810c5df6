/** An RST on one side is an RST on the other, not an orderly end. */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
});

test("a reset by the client reaches the server as a reset", async () => {
  const { client, server } = await mesh.connection();
  await client.say("x");
  await server.received(1);
  await client.reset();
  expect((await server.finish()).ending).toBe("ECONNRESET");
});

test("a reset by the server reaches the client as a reset", async () => {
  const { client, server } = await mesh.connection();
  await client.say("x");
  await server.received(1);
  await server.reset();
  expect((await client.finish()).ending).toBe("ECONNRESET");
});

test("a reset after the end of the other direction is still a reset", async () => {
  const { client, server } = await mesh.connection();
  await client.end();
  await server.finish();
  await server.say("half an answer");
  await client.received(14);
  await server.reset();
  expect((await client.finish()).ending).toBe("ECONNRESET");
});

test("a client that resets before the outbound connection is established leaves nothing", async () => {
  // The other tests' listener might accept this connection.
  await mesh.b.agent.listen("::", 8081);
  const client = await mesh.a.agent.connect(mesh.b.address4, 8081);
  await client.reset();
  expect(await mesh.socketsLeft()).toEqual([]);
});

test("no socket is left on any of the four legs", async () => {
  expect(await mesh.socketsLeft()).toEqual([]);
});
