/** Docker has rules of its own in every pod, for its name server: they stay, and names still resolve. */
import { expect, test } from "bun:test";

import { Cluster } from "../support/containers.ts";

const cluster = await Cluster.create();
const [a, b] = await Promise.all([cluster.pod("a"), cluster.pod("b")]);
await b.proxy({ credentials: cluster.certificate(b) });

test("Docker's table is unchanged by the proxy's start, end, death and removal", async () => {
  const table = async (): Promise<string> =>
    await a.look("nft", "-s", "list", "table", "ip", "nat");
  const before = await table();
  expect(before).toContain("127.0.0.11");
  const proxy = await a.proxy({ credentials: cluster.certificate(a) });
  expect(await table()).toBe(before);
  expect(await proxy.kill("KILL")).toBe(137);
  expect(await table()).toBe(before);
  const second = await a.proxy({
    credentials: cluster.certificate(a),
    options: ["--remove-rules-on-exit"],
  });
  expect(await second.stop()).toBe(0);
  expect(await table()).toBe(before);
  expect(await a.look("nft", "list", "tables")).not.toContain("tls-tproxy");
});

test("names resolve through Docker's server, and lead to peers", async () => {
  const pod = await cluster.pod("asking");
  await pod.proxy({ credentials: cluster.certificate(pod) });
  expect((await pod.exec("cat", "/etc/resolv.conf")).stdout).toContain("nameserver 127.0.0.11");
  expect((await pod.curl("http://b:8080/")).stdout).toBe("hello from b\n");
  const script =
    `const { Resolver } = require("node:dns").promises; const resolver = new Resolver();` +
    `console.log((await resolver.resolve4("b")).join());`;
  expect((await pod.exec("bun", "-e", script)).stdout).toBe(`${b.address4}\n`);
});
