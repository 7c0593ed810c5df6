/** The proxy discloses as little as possible to a peer that is not yet authenticated. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";

test("no server name is sent for an IP address, and TLS 1.3 is the only version offered", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  const { certificate, key, authority } = mesh.credentials(mesh.c);
  const files = ["-cert", certificate, "-key", key, "-CAfile", authority, "-Verify", "3"];
  const server = mesh.c.start([
    "openssl",
    "s_server",
    "-accept",
    "8080",
    "-www",
    "-trace",
    ...files,
  ]);
  await server.says(/ACCEPT/);
  const { code } = await curl(mesh.a, "-o", "/dev/null", `http://${mesh.c.address4}:8080/`);
  expect(code).toBe(0);
  const hello = await server.says(/ClientHello[^]*?(?=ServerHello)/);
  expect(hello).toContain("extension_type=supported_versions");
  expect(hello).not.toContain("server_name");
  expect(hello).toMatch(/supported_versions\(43\), length=3\s+TLS 1\.3/);
});
