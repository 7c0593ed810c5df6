/** The proxy's own ports lead nowhere, neither for the pod's applications nor for an authenticated peer. */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { opensslClient } from "../support/programs.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
});

test.each([1, 2])(
  "a connection from inside to 127.0.0.1:%i is ended, once, and the proxy survives",
  async (port) => {
    for (const host of ["127.0.0.1", "::1"]) {
      // A TLS socket that ends before its handshake sends a FIN instead of a reset.
      expect(await mesh.b.agent.attempt(host, port)).toBe("ECONNRESET");
    }
    await mesh.proxies[1]?.says(
      /Denied connection from 127\.0\.0\.1:\d+ to \[127\.0\.0\.1:\d\]: self-call/,
    );
    await works();
  },
);

test.each([1, 2])(
  "a connection from inside to the pod's own address with port %i is refused",
  async (port) => {
    const outcome = await mesh.b.agent
      .connect(mesh.b.address4, port)
      .catch((error: Error) => error.message);
    expect(outcome).toBe("ECONNREFUSED");
  },
);

test.each([1, 2])("an authenticated peer that asks for port %i is refused", async (port) => {
  const peer = mesh.credentials(mesh.c);
  const { output } = await opensslClient(mesh.c, `${mesh.b.address4}:${port}`, peer, "hello\n");
  expect(output).not.toContain("hello");
  await mesh.proxies[1]?.says(
    new RegExp(
      `Failed to connect to original destination \\[${mesh.b.address4}:${port}\\]: connection refused`,
    ),
  );
  await works();
});

test("an authenticated peer does not reach a listener on 127.0.0.1 only", async () => {
  await mesh.b.agent.listen("127.0.0.1", 9901);
  expect(await mesh.a.agent.attempt(mesh.b.address4, 9901)).toBe("ECONNRESET");
  const inside = await mesh.b.agent.connect("127.0.0.1", 9901);
  await inside.reset();
});

test("a listener on the pod's address only is reachable", async () => {
  const listener = await mesh.b.agent.listen(mesh.b.address4, 9902);
  const [client, server] = await Promise.all([
    mesh.a.agent.connect(mesh.b.address4, 9902),
    listener.accept(),
  ]);
  await client.say("hello");
  expect((await server.received(5)).text).toBe("hello");
  await Promise.all([client.end(), server.end()]);
});

async function works(): Promise<void> {
  const { client, server } = await mesh.connection();
  await client.say("x");
  expect((await server.received(1)).text).toBe("x");
  await Promise.all([client.end(), server.end()]);
}
