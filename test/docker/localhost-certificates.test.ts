/** With certificates that name only localhost, no peer is reached by address: step 5 of the original instructions. */
import { expect, test } from "bun:test";

import { Cluster } from "../support/containers.ts";

const cluster = await Cluster.create();
const [a, b] = await Promise.all([cluster.pod("a"), cluster.pod("b")]);
const names = ["--dns", "localhost", "--ip", "127.0.0.1,::1"];
const options = ["--verify", "ip"];
const [proxyA] = await Promise.all(
  [a, b].map(
    async (pod) => await pod.proxy({ credentials: cluster.certificate(pod, names), options }),
  ),
);

test("a peer is refused over IPv4, and the log says which names the certificate has", async () => {
  expect((await a.curl(`http://${b.address4}:8080/clientip`)).stdout).toBe("");
  expect(await a.agent().attempt(b.address4, 8080)).toBe("ECONNRESET");
  await proxyA?.says(
    new RegExp(
      `Failed to connect to original destination \\[${b.address4}:8080\\]: ` +
        `certificate is valid for 127\\.0\\.0\\.1, ::1, not ${b.address4}`,
    ),
  );
});

test("a peer is refused over IPv6, and the log says which names the certificate has", async () => {
  expect(await a.agent().attempt(b.address6, 8080)).toBe("ECONNRESET");
  await proxyA?.says(
    new RegExp(`certificate is valid for 127\\.0\\.0\\.1, ::1, not ${b.address6}`),
  );
});

test("the application in the same pod is still reached", async () => {
  expect((await a.curl("http://localhost:8080/")).stdout).toBe("hello from a\n");
});
