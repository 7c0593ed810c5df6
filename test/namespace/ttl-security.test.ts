/**
 * Applications that accept only packets of a neighbour (RFC 5082, as BGP does): only a verified peer counts as one.
 */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { askOdd, neighbours, serveOdd } from "../support/odd-sockets.ts";
import { PolicyFile } from "../support/policy.ts";

const mesh = Mesh.create();
const policy = new PolicyFile("inbound: { ports: { 1790: { mode: permissive } } }");
await mesh.proxy(mesh.a);
await mesh.proxy(mesh.b, policy.flags);

test.each([
  [4, mesh.b.address4, "0.0.0.0"],
  [6, mesh.b.address6, "::"],
] as const)("both ends with TTL security over IPv%d", async (family, host, any) => {
  const own = neighbours[family];
  for (const [port, at] of [
    [179, any],
    [180, host],
  ] as const) {
    const server = await serveOdd(mesh.b, { host: at, port }, own);
    expect(await askOdd(mesh.a, { host, port }, "6f", own)).toBe("6f");
    await server.end("SIGKILL");
  }
});

test("relayed cleartext counts as from a neighbour only if the client is one", async () => {
  const own = neighbours[4];
  await serveOdd(mesh.b, { host: "0.0.0.0", port: 1790 }, own);
  expect(await askOdd(mesh.a, { host: mesh.b.address4, port: 1790 }, "6f", own)).toBe("6f");
  expect(await askOdd(mesh.c, { host: mesh.b.address4, port: 1790 }, "6f")).not.toBe("6f");
});
