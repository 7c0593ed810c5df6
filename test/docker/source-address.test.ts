/** In containers with a sidecar's privileges, the application sees its client's address and port. */
import { expect, test } from "bun:test";

import { Cluster, type Pod } from "../support/containers.ts";
import type { Sight } from "../support/mirror.ts";

const cluster = await Cluster.create();
const [a, b, c] = await Promise.all([cluster.pod("a"), cluster.pod("b"), cluster.pod("c")]);
const sidecar = await b.proxy({ credentials: cluster.certificate(b) });
await a.proxy({ credentials: cluster.certificate(a) });
for (const [host, port] of [
  ["::", "9100"],
  [b.address4, "9101"],
] as const)
  await b.start("bun", "/tests/mirror.ts", "serve", host, port).says(/serving/);

async function sight(pod: Pod, ...command: readonly string[]): Promise<Sight> {
  const { stdout, stderr } = await pod.exec("bun", ...command);
  const [seen] = JSON.parse(stdout) as readonly Sight[];
  if (seen === undefined) throw new Error(stderr);
  return seen;
}

test.each([
  ["IPv4", b.address4, "9100"],
  ["IPv6", b.address6, "9100"],
  ["IPv4, listening on the pod's address alone", b.address4, "9101"],
])("a pod with a proxy is seen by its own address and port: %s", async (_, host, port) => {
  const { own, seen, at, error } = await sight(a, "/tests/mirror.ts", "ask", host, port);
  expect([error, seen]).toEqual(["", own]);
  expect(at).toBe(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
});

test.each([
  ["IPv4", b.address4, "169.254.77.1:9100"],
  ["IPv6", b.address6, "[fd74:7072:6f78:7931::1]:9100"],
])(
  "a TLS client without a proxy is seen by its own address and port, at the alias: %s",
  async (_, host, alias) => {
    await c.copy(cluster.certificate(c), "/tmp/certs");
    const files = ["/tmp/certs/tls.crt", "/tmp/certs/tls.key"];
    const { own, seen, at, error } = await sight(c, "/tests/teller.ts", host, "9100", ...files);
    expect([error, seen, at]).toEqual(["", own, alias]);
  },
);

test("the sidecar preserves addresses although it has dropped the right to change rules", async () => {
  const status = await cluster.status(sidecar);
  // CAP_NET_RAW is bit 13.
  expect(status.get("CapEff")).toBe("0000000000002000");
});
