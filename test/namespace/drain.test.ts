/**
 * Shutdown of a proxy: connections are served to their end, or reset; none is dropped silently or passes in
 * cleartext.
 */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { kernelState } from "../support/kernel-state.ts";
import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";
import { readyzOnce } from "../support/status.ts";

test("after SIGTERM live and new connections are served until the last has ended", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  await serveHttp(mesh.b, 8000, "still served");
  const { client, server } = await mesh.connection();
  const [, proxy] = mesh.proxies;
  proxy?.child.kill("SIGTERM");
  expect((await readyzOnce(mesh.b, 503)).text).toContain("draining");
  await client.say("hello");
  expect((await server.received(5)).text).toBe("hello");
  expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("still served");
  await client.end();
  await server.end();
  expect((await client.finish()).ending).toBe("end");
  expect(await proxy?.child.exited).toBe(0);
  await proxy?.says(/ending: all connections have ended/);
});

test("after SIGTERM the application can still connect outward", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  await serveHttp(mesh.b, 8000, "good-bye");
  const { client } = await mesh.connection();
  mesh.proxies[0]?.child.kill("SIGTERM");
  await readyzOnce(mesh.a, 503);
  expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("good-bye");
  await client.reset();
  expect(await mesh.proxies[0]?.child.exited).toBe(0);
});

test("after --drain live connections are reset, and the exit code is 0", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies("--drain", "200ms");
  const { client, server } = await mesh.connection();
  const [, proxy] = mesh.proxies;
  expect(await proxy?.end()).toBe(0);
  expect((await client.finish()).ending).toBe("ECONNRESET");
  expect((await server.finish()).ending).toBe("ECONNRESET");
  await proxy?.says(/ending: the time is up/);
});

test("a second signal ends the proxy at once", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies("--drain", "1h");
  const { client } = await mesh.connection();
  const [, proxy] = mesh.proxies;
  proxy?.child.kill("SIGTERM");
  await readyzOnce(mesh.b, 503);
  expect(await proxy?.end("SIGINT")).toBe(0);
  expect((await client.finish()).ending).toBe("ECONNRESET");
  await proxy?.says(/ending: a second signal has come/);
});

test.each(["IPv4", "IPv6"] as const)(
  "where the rules stay, connections after the end are reset in both directions, %s",
  async (family) => {
    const mesh = Mesh.create();
    await mesh.startProxies("--privileges", "kept");
    await serveHttp(mesh.b, 8000, "in clear");
    await serveHttp(mesh.c, 8000, "in clear");
    const [, proxy] = mesh.proxies;
    expect(await proxy?.end()).toBe(0);
    const addressOf = (pod: typeof mesh.b): string =>
      family === "IPv4" ? pod.address4 : pod.address6;
    expect(await mesh.c.agent.attempt(addressOf(mesh.b), 8000)).toBe("ECONNREFUSED");
    expect(await mesh.b.agent.attempt(addressOf(mesh.c), 8000)).toBe("ECONNREFUSED");
  },
);

test("killed and restarted: the rules exist once, and traffic flows again", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  await serveHttp(mesh.b, 8000, "again");
  const before = await kernelState(mesh.b);
  await mesh.proxies[1]?.end("SIGKILL");
  const [{ output }] = await Promise.all([
    // Without a listener the SYN is dropped, not reset, so the client retransmits it.
    curl(mesh.a, `http://${mesh.b.address4}:8000/`),
    mesh.proxy(mesh.b),
  ]);
  expect(output).toBe("again");
  expect(await kernelState(mesh.b)).toBe(before);
});
