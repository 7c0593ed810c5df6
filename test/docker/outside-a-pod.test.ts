/** Connections to a pod from outside get mutual TLS or nothing: step 6 of the original instructions. */
import { expect, test } from "bun:test";

import { Cluster } from "../support/containers.ts";

const cluster = await Cluster.create();
const [a, c] = await Promise.all([cluster.pod("a"), cluster.pod("c")]);
const proxy = await a.proxy({ credentials: cluster.certificate(a) });
await c.copy(cluster.certificate(c), "/tmp/certs");

const own = ["--cert", "/tmp/certs/tls.crt", "--key", "/tmp/certs/tls.key"];

test("a plain client is refused", async () => {
  const { code, stdout } = await c.curl(`http://${a.address4}:8080/clientip`);
  expect(code).toBeOneOf([52, 56]);
  expect(stdout).toBe("");
  await proxy.says(/Refused connection from \S+ to \S+: .*plain HTTP/);
});

test("a plain client on the node, such as the kubelet, is refused", async () => {
  const { code, stdout } = await cluster.node("curl", "-s", `http://${a.address4}:8080/clientip`);
  expect(code).toBeOneOf([52, 56]);
  expect(stdout).toBe("");
  await proxy.says(new RegExp(`Refused connection from ${cluster.prefix.address4}.1:`));
});

test("a TLS client without a certificate is refused", async () => {
  const { code, stdout, stderr } = await c.curl("-k", `https://${a.address4}:8080/clientip`);
  expect(code).not.toBe(0);
  expect(stdout).toBe("");
  expect(stderr).toContain("certificate required");
});

test("a TLS client with a certificate of the mesh is served", async () => {
  const { code, stdout } = await c.curl("-k", ...own, `https://${a.address4}:8080/`);
  expect([code, stdout]).toEqual([0, "hello from a\n"]);
});

test("readiness is answered to any client, without a certificate", async () => {
  expect(await cluster.node("curl", "-s", `http://${a.address4}:15020/readyz`)).toEqual({
    code: 0,
    stdout: "ready\n",
    stderr: "",
  });
});
