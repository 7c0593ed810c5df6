/** The server's accept(2) returns the address that the client's getsockname(2) returns. */
import { describe, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { ask, askOnce, serveMirror, sourcesCounted } from "../support/sights.ts";

const mesh = Mesh.create();
await mesh.startProxies();
await serveMirror(mesh.b, 8080);
await serveMirror(mesh.b, 8081, mesh.b.address4);
await serveMirror(mesh.b, 8082, "0.0.0.0");
await serveMirror(mesh.b, 8083, mesh.b.address6);

describe("the application sees the client's address and port", () => {
  test.each([
    ["IPv4, listening on all addresses of both families", mesh.b.address4, 8080],
    ["IPv6, listening on all addresses of both families", mesh.b.address6, 8080],
    ["IPv4, listening on the pod's address alone", mesh.b.address4, 8081],
    ["IPv4, listening on all IPv4 addresses", mesh.b.address4, 8082],
    ["IPv6, listening on the pod's address alone", mesh.b.address6, 8083],
  ])("%s", async (_, host, port) => {
    const { own, seen, at } = await askOnce(mesh.a, { host, port });
    expect(own).toMatch(/:\d+$/);
    expect(seen).toBe(own);
    expect(at).toBe(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
  });

  test("on many simultaneous connections", async () => {
    const { sights, running } = await ask(mesh.a, {
      host: mesh.b.address4,
      port: 8080,
      count: 200,
    });
    expect(sights.filter(({ own, seen }) => own !== seen)).toEqual([]);
    await running.end();
  });
});

test("the metric counts it", async () => {
  const before = (await sourcesCounted(mesh.b))["ip-port/as-asked"] ?? 0;
  await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
  expect((await sourcesCounted(mesh.b))["ip-port/as-asked"]).toBe(before + 1);
});
