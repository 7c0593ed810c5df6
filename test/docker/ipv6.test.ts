/** IPv6 is carried and protected like IPv4. */
import { expect, test } from "bun:test";

import { Cluster } from "../support/containers.ts";

const cluster = await Cluster.create();
const [a, b, c] = await Promise.all([cluster.pod("a"), cluster.pod("b"), cluster.pod("c")]);
const [proxyA, proxyB] = await Promise.all(
  [a, b].map(async (pod) => await pod.proxy({ credentials: cluster.certificate(pod) })),
);
await c.copy(cluster.certificate(c), "/tmp/certs");

test("a peer is reached by mutual TLS", async () => {
  expect((await a.curl(`http://[${b.address6}]:8080/`)).stdout).toBe("hello from b\n");
  const closed = String.raw`Closed connection from \[${a.address6}\]:\d+ to \S+:8080\]?:`;
  await proxyB?.says(
    new RegExp(`inbound\\] ${closed} peer=spiffe://cluster.local/ns/default/sa/a `),
  );
});

test("nothing is sent in cleartext to a server without a proxy", async () => {
  expect((await a.curl(`http://[${c.address6}]:8080/`)).stdout).toBe("");
  expect(await a.agent().attempt(c.address6, 8080)).toBe("ECONNRESET");
  await proxyA?.says(/Failed to connect to original destination \S+::12\]:8080.*TLS/);
});

test("a plain client is refused", async () => {
  const { code, stdout } = await c.curl(`http://[${b.address6}]:8080/`);
  expect(code).toBeOneOf([52, 56]);
  expect(stdout).toBe("");
});

test("a TLS client with a certificate of the mesh is served", async () => {
  const own = ["--cert", "/tmp/certs/tls.crt", "--key", "/tmp/certs/tls.key"];
  expect((await c.curl("-k", ...own, `https://[${b.address6}]:8080/`)).stdout).toBe(
    "hello from b\n",
  );
});

test("control: without a proxy the plain client is served", async () => {
  expect((await c.curl(`http://[${c.address6}]:8080/`)).stdout).toBe("hello from c\n");
  const bare = await cluster.pod("bare");
  expect((await c.curl(`http://[${bare.address6}]:8080/`)).stdout).toBe("hello from bare\n");
});
