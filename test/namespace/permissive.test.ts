/**
 * A permissive port accepts our mutual TLS and relays everything else unchanged; a strict port accepts only mutual
 * TLS.
 */
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl, opensslServer } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";

const mesh = Mesh.create();
const permissive = 'tproxy_plaintext_connections_total{mode="permissive"}';
const policy = new PolicyFile(`
inbound:
  ports:
    8000: { mode: permissive }
    8025: { mode: permissive }
    8080: { mode: permissive }
    8443: { mode: permissive }
    9000: { mode: audit }
`);

beforeAll(async () => {
  const limits = ["--first-bytes-timeout", "300ms", "--handshake-timeout", "2s"];
  mesh.proxies.push(
    await mesh.proxy(mesh.a),
    await mesh.proxy(mesh.b, [...policy.flags, ...limits]),
  );
  for (const port of [8000, 8001, 9000]) await serveHttp(mesh.b, port, `hello from ${port}`);
});

async function plaintext(): Promise<number> {
  return (await metrics(mesh.b)).get(permissive) ?? Number.NaN;
}

test.each(["IPv4", "IPv6"])("curl in cleartext is served and counted, over %s", async (family) => {
  const before = await plaintext();
  const host = family === "IPv4" ? mesh.b.address4 : `[${mesh.b.address6}]`;
  expect((await curl(mesh.c, `http://${host}:8000/`)).output).toBe("hello from 8000");
  await metricOnce(mesh.b, permissive, (count) => count === before + 1);
  await mesh.proxies[1]?.says(
    /Closed connection from \S+ to \S+:8000\]?: peer=plaintext \(permissive\)/,
  );
});

test("our own proxy's connection to the same port uses mutual TLS, with its identity", async () => {
  const before = await plaintext();
  const { output } = await curl(mesh.a, `http://${mesh.b.address4}:8000/`);
  expect(output).toBe("hello from 8000");
  await mesh.proxies[1]?.says(
    /Closed connection from 10\.77\.0\.1\S+ to \S+:8000\]: peer=spiffe:\/\/test\.example\/host\/10\.77\.0\.1/,
  );
  expect(await plaintext()).toBe(before);
});

test("the application's own TLS passes unchanged, with the application's own certificate", async () => {
  const own = mesh.credentials(mesh.b, { spiffeId: "spiffe://test.example/the/application" });
  await opensslServer(mesh.b, 8443, own);
  const { certificate, key } = mesh.credentials(mesh.c);
  const shown = await mesh.c.run(
    [
      "timeout",
      "10",
      "openssl",
      "s_client",
      "-connect",
      `${mesh.b.address4}:8443`,
      "-cert",
      certificate,
      "-key",
      key,
      "-alpn",
      "h2,http/1.1",
    ],
    "",
  );
  const leaf = /-----BEGIN CERTIFICATE-----[^]*?-----END/.exec(shown.stdout)?.[0] ?? "none";
  expect(await Bun.file(own.certificate).text()).toContain(leaf);
});

test("a client that waits for the server to speak gets its greeting after the time-out, and is served", async () => {
  const listener = await mesh.b.agent.listen("::", 8025);
  const client = await mesh.c.agent.connect(mesh.b.address4, 8025);
  const server = await listener.accept();
  await server.say("220 ready\r\n");
  expect((await client.received(11)).text).toBe("220 ready\r\n");
  await client.say("QUIT\r\n");
  expect((await server.received(6)).text).toBe("QUIT\r\n");
  await client.end();
  expect((await server.finish()).ending).toBe("end");
  await server.end();
});

/** openssl with our ALPN, through a relay that sends its first bytes one by one. */
async function dribbled(port: number, own: readonly string[]): Promise<string> {
  const script = `${import.meta.dir}/../support/dribble.ts`;
  const relay = mesh.c.start(["bun", script, mesh.b.address4, String(port), "700"]);
  const local = (await relay.says(/port \d+/)).slice("port ".length);
  const command = ["openssl", "s_client", "-connect", `127.0.0.1:${local}`, "-alpn", "tproxy/1"];
  const request = "GET / HTTP/1.0\r\n\r\n";
  const { stdout } = await mesh.c.run(["timeout", "10", ...command, ...own, "-ign_eof"], request);
  await relay.end("SIGKILL");
  return stdout;
}

test("a ClientHello of a proxy in segments of one byte is detected", async () => {
  const { certificate, key } = mesh.credentials(mesh.c);
  const before = await plaintext();
  const output = await dribbled(8000, ["-cert", certificate, "-key", key]);
  expect(output).toContain("hello from 8000");
  await mesh.proxies[1]?.says(/peer=spiffe:\/\/test\.example\/host\/10\.77\.0\.3/);
  expect(await plaintext()).toBe(before);
});

test("a ClientHello of a proxy without a certificate is refused, not passed on", async () => {
  const before = await metrics(mesh.b);
  const reason = 'tproxy_handshake_failures_total{direction="inbound",reason="no-certificate"}';
  expect(await dribbled(8000, [])).not.toContain("hello");
  const after = await metricOnce(
    mesh.b,
    reason,
    (count) => count === (before.get(reason) ?? 0) + 1,
  );
  expect(after.get(permissive)).toBe(before.get(permissive));
});

test("a peer whose certificate is bad is refused on a permissive port as on a strict one", async () => {
  const pod = mesh.extraPod();
  const proxy = await pod.proxy(flagsOf(mesh.credentials(pod, { expired: false, foreign: true })));
  expect((await curl(pod, `http://${mesh.b.address4}:8000/`)).code).not.toBe(0);
  await proxy.says(/Failed to connect to original destination \[10\.77\.0\.2:8000\]/);
});

test.each([
  ["the beginning of a record", "\u0016\u0003\u0001\u0002\u0000"],
  ["half a ClientHello", `\u0016\u0003\u0001\u0001\u0000\u0001\u0000\u0000\u007C\u0003\u0003`],
])("%s and then silence is passed to the application", async (_, bytes) => {
  const { client, server } = await mesh.connection(mesh.b.address4, mesh.c, bytes);
  expect((await server.received(5)).text.slice(0, 2)).toBe("\u0016\u0003");
  await server.reset();
  expect((await client.finish()).ending).toBe("ECONNRESET");
});

test("an audit port admits cleartext, logs the client, and counts it", async () => {
  expect((await curl(mesh.c, `http://${mesh.b.address4}:9000/`)).output).toBe("hello from 9000");
  const audit = 'tproxy_plaintext_connections_total{mode="audit"}';
  await metricOnce(mesh.b, audit, (count) => count === 1);
  await mesh.proxies[1]?.says(
    /W\S+ .*inbound\] Plaintext connection from 10\.77\.0\.3:\d+ to \[10\.77\.0\.2:9000\]/,
  );
});

test("no downgrade: a strict port beside them refuses cleartext and foreign ClientHellos", async () => {
  expect((await curl(mesh.c, `http://${mesh.b.address4}:8001/`)).output).not.toContain("hello");
  expect(await dribbled(8001, [])).not.toContain("hello");
  const { certificate, key } = mesh.credentials(mesh.c);
  expect(await dribbled(8001, ["-cert", certificate, "-key", key])).toContain("hello from 8001");
});

test("no socket is left on any leg", async () => {
  expect(await mesh.socketsLeft()).toEqual([]);
});
