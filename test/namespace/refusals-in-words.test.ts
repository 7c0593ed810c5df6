/**
 * A server refuses our certificate: its log says why, ours says what it can know, and the application sees a reset.
 */
import { appendFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor, type Defect } from "../support/credentials.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";

const strangers = credentialsFor(["192.0.2.1"], { foreign: true });

test.each([
  [
    "from a CA that it does not know",
    { foreign: true },
    /Refused connection from .*: certificate signed by an unknown CA/,
  ],
  [
    "that its policy does not allow",
    { spiffeId: "spiffe://test.example/host/other" },
    /Refused connection from .*: spiffe:\/\/test\.example\/host\/other is not one of those allowed here/,
  ],
] as const satisfies readonly (readonly [string, Defect, RegExp])[])(
  "a client's certificate %s",
  async (_, defect, says) => {
    const mesh = Mesh.create();
    const allow = new PolicyFile(`inbound: { allow: ["spiffe://test.example/host/expected"] }`);
    const server = await mesh.proxy(mesh.b, allow.flags);
    const own = mesh.credentials(mesh.a, defect);
    // The client trusts both CAs, so that the handshake goes as far as the server allows.
    for (const { authority } of [strangers, mesh.credentials(mesh.b)])
      appendFileSync(own.authority, await Bun.file(authority).text());
    const client = await mesh.a.proxy(flagsOf(own));
    await mesh.b.agent.listen("::", 8080);
    const socket = await mesh.a.agent.connect(mesh.b.address4, 8080);
    const { ending } = await socket.finish();
    expect(ending).toBe("ECONNRESET");
    await server.says(says);
    await client.says(
      /outbound\] Closed connection .*it refused our certificate, or its application took no connection; its log says which/,
    );
  },
);
