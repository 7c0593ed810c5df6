/** Some protocols (FTP, SIP, Redis) send clients the address that getsockname(2) returns. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { askOnce, serveMirror } from "../support/sights.ts";

const mesh = Mesh.create();
const policy = new PolicyFile(`
inbound:
  ports:
    8080: { mode: permissive }
    8081: { mode: audit }
    8082: { mode: permissive, preserveSource: ip-port }
`);
await mesh.proxy(mesh.b, policy.flags);
for (const port of [8080, 8081, 8082]) await serveMirror(mesh.b, port);

const hosts = [
  ["IPv4", mesh.b.address4, mesh.b.address4],
  ["IPv6", mesh.b.address6, `[${mesh.b.address6}]`],
] as const;

test.each(hosts)(
  "a plain client's address and the application's own address are preserved, %s",
  async (...of) => {
    const [, host, text] = of;
    for (const port of [8080, 8081]) {
      const { own, seen, at, error } = await askOnce(mesh.c, { host, port });
      expect([error, at]).toEqual(["", `${text}:${port}`]);
      expect(seen.replace(/:\d+$/, "")).toBe(own.replace(/:\d+$/, ""));
    }
  },
);

test("a policy that asks for the client's port gets it, with another address of the application", async () => {
  const { own, seen, at } = await askOnce(mesh.c, { host: mesh.b.address4, port: 8082 });
  expect([seen, at]).toEqual([own, "169.254.77.1:8082"]);
});
