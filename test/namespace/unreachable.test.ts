/** If the destination is unreachable, the client gets RST and the log has one line with the reason. */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
});

test("a port without a listener in a pod with a proxy", async () => {
  expect(await mesh.a.agent.attempt(mesh.b.address4, 81)).toBe("ECONNRESET");
  await mesh.proxies[1]?.says(
    new RegExp(
      `Failed to connect to original destination \\[${mesh.b.address4}:81\\]: connection refused`,
    ),
  );
});

test("a closed port in a pod without a proxy", async () => {
  expect(await mesh.a.agent.attempt(mesh.c.address4, 81)).toBe("ECONNRESET");
  await mesh.proxies[0]?.says(
    new RegExp(
      `Failed to connect to original destination \\[${mesh.c.address4}:81\\]: connection refused`,
    ),
  );
});

test("a host that does not exist", async () => {
  expect(await mesh.a.agent.attempt("10.77.0.99", 80)).toBe("ECONNRESET");
  await mesh.proxies[0]?.says(
    /destination \[10\.77\.0\.99:80\]: (no route to host|connection timed out)/,
  );
});

test("a network without a route", async () => {
  const client = await mesh.a.agent.connect("10.99.0.1", 80).catch((error: Error) => error.message);
  // The kernel looks up the route before it diverts, so the application sees the same error as without a proxy.
  expect(client).not.toBeObject();
});

test("a server that does not speak TLS gets none of the client's plaintext", async () => {
  const listener = await mesh.c.agent.listen("::", 8081);
  const [client, server] = await Promise.all([
    mesh.a.agent.connect(mesh.c.address4, 8081),
    listener.accept(),
  ]);
  await client.say("SECRET");
  await server.say("HTTP/1.1 400 Bad Request\r\n\r\n");
  expect((await client.finish()).ending).toBe("ECONNRESET");
  const got = await server.finish();
  expect(got.text).not.toContain("SECRET");
  expect(got.text.charCodeAt(0)).toBe(22); // A TLS handshake record.
  await mesh.proxies[0]?.says(
    new RegExp(
      `destination \\[${mesh.c.address4}:8081\\]: .*does not speak TLS: is there a proxy on its side`,
    ),
  );
});

test("control: without a proxy the same server is reached in cleartext", async () => {
  const bare = Mesh.create();
  const listener = await bare.c.agent.listen("::", 8081);
  const [client, server] = await Promise.all([
    bare.a.agent.connect(bare.c.address4, 8081),
    listener.accept(),
  ]);
  await client.say("SECRET");
  expect((await server.received(6)).text).toBe("SECRET");
});

test("an application that hangs: its kernel never answers", async () => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod, ["--connect-timeout", "300ms"]);
  const chain = "type filter hook input priority 0; iif lo tcp dport 9000 drop;";
  await pod.run(["nft", "-f", "-"], `table inet hang { chain input { ${chain} }; }\n`);
  expect(await mesh.a.agent.attempt(pod.address4, 9000)).toBe("ECONNRESET");
  await proxy.says(/Failed to connect to original destination \S+:9000\]: connection timed out/);
});
