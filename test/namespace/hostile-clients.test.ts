/** Hostile or broken peers: each is cut off, counted by its reason, and does not delay others. */
import { writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../src/identity/issue.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import { curl, opensslClient } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies("--handshake-timeout", "1s");
  await serveHttp(mesh.b, 8000, "served");
});

async function failuresOf(reason: string): Promise<number> {
  const name = `tproxy_handshake_failures_total{direction="inbound",reason="${reason}"}`;
  return (await metrics(mesh.b)).get(name) ?? Number.NaN;
}

async function expectServed(): Promise<void> {
  const { output } = await curl(mesh.a, `http://${mesh.b.address4}:8000/`);
  expect(output).toBe("served");
}

test.each([
  ["http", "not-tls"],
  ["random", "not-tls"],
  ["oversize-record", "tls-error"],
  ["silent", "timeout"],
  ["half-hello", "timeout"],
  ["drip", "timeout"],
] as const)(
  "%s: cut off without an answer and counted as %s, while others are served",
  async (kind, reason) => {
    const before = await failuresOf(reason);
    const crowd = mesh.c.crowd(kind, 30, 30, mesh.b.address4, "8000");
    await crowd.standing();
    await expectServed();
    const { bytes, endings } = await crowd.end();
    // A TLS alert has seven bytes.
    expect(bytes).toBeLessThanOrEqual(30 * 7);
    const cut = ["ECONNRESET", "EPIPE", "end"].map((how) => endings[how] ?? 0);
    expect(cut.reduce((sum, count) => sum + count, 0)).toBe(30);
    const name = `tproxy_handshake_failures_total{direction="inbound",reason="${reason}"}`;
    await metricOnce(mesh.b, name, (count) => count === before + 30);
  },
);

test("300 silent clients are all cut off at the deadline, while others are served", async () => {
  const crowd = mesh.c.crowd("silent", 300, 300, mesh.b.address6, "8000");
  await crowd.standing();
  for (let turn = 0; turn < 20; turn += 1) await expectServed();
  expect((await crowd.end()).endings).toEqual({ ECONNRESET: 300 });
});

test("a client that is silent after its handshake is an ordinary connection", async () => {
  const { certificate, key } = mesh.credentials(mesh.c);
  const crowd = mesh.c.crowd("handshake", 20, 20, mesh.b.address4, "8000", certificate, key);
  await crowd.standing();
  const open = 'tproxy_tcp_open_connections{direction="inbound"}';
  await metricOnce(mesh.b, open, (count) => count >= 20);
  await expectServed();
  crowd.running.child.kill("SIGKILL");
  await metricOnce(mesh.b, open, (count) => count === 0);
});

test("2,000 simultaneous handshakes all succeed", async () => {
  const own = Mesh.create();
  await own.proxy(own.b, ["--handshake-timeout", "60s"]);
  await serveHttp(own.b, 8000, "served");
  const { certificate, key } = own.credentials(own.c);
  const crowd = own.c.crowd("request", 2000, 2000, own.b.address4, "8000", certificate, key);
  expect((await crowd.end()).endings).toEqual({ answered: 2000 });
});

test("10,000 clients that connect and vanish leave neither sockets nor memory", async () => {
  const own = Mesh.create();
  await own.startProxies();
  await serveHttp(own.b, 8000, "served");
  const round = async (): Promise<number> => {
    const crowd = own.c.crowd("vanish", 5000, 200, own.b.address4, "8000");
    expect((await crowd.end()).endings).toEqual({ vanished: 5000 });
    const open = 'tproxy_tcp_open_connections{direction="inbound"}';
    await metricOnce(own.b, open, (count) => count === 0);
    return own.anonymousMemory();
  };
  const first = await round();
  expect((await round()) - first).toBeLessThan(20_000_000);
  const { output } = await curl(own.a, `http://${own.b.address4}:8000/`);
  expect(output).toBe("served");
  expect((await metrics(own.b)).get("process_open_fds")).toBeLessThan(60);
});

test.each(["-tls1", "-tls1_1", "-tls1_2"])("openssl %s is refused as too old", async (version) => {
  const before = await failuresOf("tls-version");
  const { certificate, key } = mesh.credentials(mesh.c);
  const old = [version, "-cipher", "DEFAULT@SECLEVEL=0", "-cert", certificate, "-key", key];
  const { code } = await mesh.c.run(
    ["timeout", "10", "openssl", "s_client", "-connect", `${mesh.b.address4}:8000`, ...old],
    "GET / HTTP/1.0\r\n\r\n",
  );
  expect(code).not.toBe(0);
  expect(await failuresOf("tls-version")).toBe(before + 1);
});

test("a self-signed certificate is refused", async () => {
  const before = await failuresOf("untrusted-chain");
  const directory = temporaryDirectory();
  const files = ["-keyout", `${directory}/key.pem`, "-out", `${directory}/cert.pem`];
  const subject = ["-subj", "/CN=me", "-addext", "extendedKeyUsage=clientAuth"];
  const leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const made = await mesh.c.run(["openssl", "req", "-x509", ...key, ...files, ...subject, ...leaf]);
  expect(made.code).toBe(0);
  const { certificate: _, ...paths } = mesh.credentials(mesh.c);
  const own = { ...paths, certificate: `${directory}/cert.pem`, key: `${directory}/key.pem` };
  const { output } = await opensslClient(mesh.c, `${mesh.b.address4}:8000`, own, "GET /\r\n\r\n");
  expect(output).not.toContain("served");
  expect(await failuresOf("untrusted-chain")).toBe(before + 1);
});

test("a chain of a thousand certificates is refused, and no memory stays allocated", async () => {
  const { certificate, key } = mesh.credentials(mesh.c);
  const padding = issueAuthority("padding");
  const chain = `${temporaryDirectory()}/chain.pem`;
  const one = issueLeaf(padding, { ips: ["10.0.0.1"] }).certificatePem;
  writeFileSync(chain, one.repeat(1000));
  const own = ["-cert", certificate, "-key", key, "-cert_chain", chain, "-ign_eof"];
  const { stdout: output } = await mesh.c.run(
    ["timeout", "10", "openssl", "s_client", "-connect", `${mesh.b.address4}:8000`, ...own],
    "GET / HTTP/1.0\r\n\r\n",
  );
  expect(output).not.toContain("served");
  await mesh.proxies[1]?.says(/Refused connection .*(EXCESSIVE_MESSAGE_SIZE|TLS)/);
  await expectServed();
});
