/** TCP urgent data: no byte is lost, wherever it is in the stream. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { askOdd, inline, serveOdd, urgent } from "../support/odd-sockets.ts";
import { PolicyFile } from "../support/policy.ts";

const mesh = Mesh.create();
const policy = new PolicyFile("inbound: { ports: { 9001: { mode: permissive } } }");
await mesh.proxy(mesh.a);
await mesh.proxy(mesh.b, policy.flags);
for (const port of [9000, 9001]) await serveOdd(mesh.b, { host: "::", port }, inline);

/** Telnet's Sync, FTP's ABOR: RFC 959, 4.1.3. */
const abort = "616263,!fff4ff,f241424f520d0a";
const all = abort.replaceAll(/[,!]/g, "");

test.each([
  ["between two proxies, IPv4", () => askOdd(mesh.a, to(mesh.b.address4, 9000), abort)],
  ["between two proxies, IPv6", () => askOdd(mesh.a, to(mesh.b.address6, 9000), abort)],
  ["a plain client of a permissive port", () => askOdd(mesh.c, to(mesh.b.address4, 9001), abort)],
])("%s: all bytes arrive in order", async (_, ask) => {
  expect(await ask()).toBe(all);
});

test("the first byte and the last one may be urgent", async () => {
  expect(await askOdd(mesh.a, to(mesh.b.address4, 9000), "!61,62")).toBe("6162");
  expect(await askOdd(mesh.a, to(mesh.b.address4, 9000), "61,!62")).toBe("6162");
  expect(await askOdd(mesh.c, to(mesh.b.address4, 9001), "!61,62")).toBe("6162");
});

test("a server's urgent answer arrives complete", async () => {
  await serveOdd(mesh.b, { host: "::", port: 9002 }, inline, urgent);
  expect(await askOdd(mesh.a, to(mesh.b.address4, 9002), "6162", inline)).toBe("6162");
  expect(await askOdd(mesh.a, to(mesh.b.address6, 9002), "6162", inline)).toBe("6162");
});

function to(host: string, port: number): { readonly host: string; readonly port: number } {
  return { host, port };
}
