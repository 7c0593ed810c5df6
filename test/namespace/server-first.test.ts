/**
 * The client's protocol is not detected: a server that speaks first is relayed before the client has sent anything.
 */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
});

test.each(["IPv4", "IPv6"])(
  "a banner arrives before the client speaks, over %s",
  async (family) => {
    const address = family === "IPv4" ? mesh.b.address4 : mesh.b.address6;
    const { client, server } = await mesh.connection(address);
    await server.say("220 ready\r\n");
    expect((await client.received(11)).text).toBe("220 ready\r\n");
    await client.say("QUIT\r\n");
    expect((await server.received(6)).text).toBe("QUIT\r\n");
    await Promise.all([client.end(), server.end()]);
  },
);

test("the application sees the original destination as its own address", async () => {
  const { client, server } = await mesh.connection();
  expect(server.local).toBe(`::ffff:${mesh.b.address4}`);
  await Promise.all([client.end(), server.end()]);
});

test("no socket is left on any of the four legs", async () => {
  expect(await mesh.socketsLeft()).toEqual([]);
});
