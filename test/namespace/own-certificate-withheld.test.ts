/** A server that fails verification does not see our certificate, because our identity is not for strangers. */
import { expect, test } from "bun:test";

import { credentialsFor, type Defect } from "../support/credentials.ts";
import { Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";

const mesh = Mesh.create();
const policy = new PolicyFile(`outbound:
  expect: [{ to: ${mesh.c.address4}/32, allow: ["spiffe://test.example/host/server"] }]`);
const proxy = await mesh.proxy(mesh.a, policy.flags);
const received = /<<< TLS 1\.3, Handshake \[length [0-9a-f]+\], (Certificate|Finished)\n/;

let port = 9000;

/** openssl as the server, which prints all that it receives. */
async function asked(defect: Defect): Promise<string> {
  port += 1;
  const { certificate, key } = credentialsFor([mesh.c.address4], defect);
  const own = ["-cert", certificate, "-key", key, "-Verify", "1", "-msg"];
  const server = mesh.c.start(["openssl", "s_server", "-accept", `${port}`, "-www", ...own]);
  await server.says(/ACCEPT/);
  await curl(mesh.a, `http://${mesh.c.address4}:${port}/`);
  await proxy.says(new RegExp(`outbound\\] .*${mesh.c.address4}:${port}\\]`));
  await server.says(/<<< .*ClientHello/);
  await server.end();
  return server.output;
}

test("control: the expected server sees our certificate", async () => {
  expect(await asked({ spiffeId: "spiffe://test.example/host/server" })).toMatch(received);
});

test.each([
  ["from another CA", { foreign: true, spiffeId: "spiffe://test.example/host/server" }],
  ["that has expired", { expired: true, spiffeId: "spiffe://test.example/host/server" }],
  ["for clients only", { usages: ["clientAuth"], spiffeId: "spiffe://test.example/host/server" }],
  ["of another trust domain", { spiffeId: "spiffe://other.example/host/server" }],
  ["that the policy does not expect there", { spiffeId: "spiffe://test.example/host/other" }],
  ["without a SPIFFE ID", { spiffeId: null }],
] as const satisfies readonly (readonly [string, Defect])[])(
  "a server with a certificate %s does not see it",
  async (_, defect) => {
    expect(await asked(defect)).not.toMatch(received);
  },
);
