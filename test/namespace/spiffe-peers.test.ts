/**
 * HAProxy and openssl with SPIFFE certificates, without any address: admitted and reached by identity, as the policy
 * says.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "bun:test";

import type { CredentialPaths } from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl, listening, opensslClient, opensslServer } from "../support/programs.ts";
import { metrics } from "../support/status.ts";

const mesh = Mesh.create();
const meant = "spiffe://test.example/ns/default/sa/meant";
const other = "spiffe://test.example/ns/default/sa/other";
const inward = new PolicyFile(`inbound: { allow: ["${meant}"] }\n`);
const outward = new PolicyFile(
  `outbound: { expect: [{ to: ${mesh.c.address4}/32, allow: ["${meant}"] }] }\n`,
);

beforeAll(async () => {
  await serveHttp(mesh.b, 8000, "hello from b");
  await serveHttp(mesh.c, 8000, "hello from c");
  for (const [pod, policy] of [
    [mesh.a, outward],
    [mesh.b, inward],
  ] as const)
    mesh.proxies.push(await mesh.proxy(pod, policy.flags, { ips: [] }));
});

type Server = (port: number, paths: CredentialPaths) => Promise<Running>;
type Client = (paths: CredentialPaths) => Promise<string>;

const servers: readonly (readonly [string, Server, string])[] = [
  ["HAProxy in front of an application", haproxyServer, "hello from c"],
  [
    "openssl s_server",
    async (port, own) => await opensslServer(mesh.c, port, own),
    "HTTP/1.0 200 ok",
  ],
];
const clients: readonly (readonly [string, Client])[] = [
  ["HAProxy on behalf of an application", haproxyClient],
  ["openssl s_client", sClient],
  ["curl", curlClient],
];

test.each(servers)("%s is reached if it has the expected identity", async (_, start, answer) => {
  const port = nextPort();
  const server = await start(port, paths(meant));
  const { code, output } = await curl(mesh.a, "--include", `http://${mesh.c.address4}:${port}/`);
  expect([code, output]).toEqual([0, expect.stringContaining(answer)]);
  await saidBy(
    mesh.a,
    `Closed connection from .* to \\[${mesh.c.address4}:${port}\\]: peer=${meant} `,
  );
  await server.end();
});

test.each(servers)(
  "%s is not reached as another workload of the trust domain",
  async (_, start) => {
    const port = nextPort();
    const server = await start(port, paths(other));
    const before = await notAllowed(mesh.a, "outbound");
    expect(await mesh.a.agent.attempt(mesh.c.address4, port)).toBe("ECONNRESET");
    const refusal = `${other} is not one of those allowed here: ${meant} \\(\\S+policy.yaml`;
    await saidBy(mesh.a, `Failed to connect .*\\[${mesh.c.address4}:${port}\\]: ${refusal}`);
    expect(await notAllowed(mesh.a, "outbound")).toBe(before + 1);
    await server.end();
  },
);

test.each(clients)("%s is admitted if it has an allowed identity", async (_, ask) => {
  const before = outputOf(mesh.b).length;
  expect(await ask(paths(meant))).toContain("hello from b");
  await saidBy(mesh.b, `Closed connection from ${mesh.c.address4}:.* peer=${meant} `, before);
});

test.each(clients)("%s is refused as another workload of the trust domain", async (_, ask) => {
  const before = outputOf(mesh.b).length;
  const count = await notAllowed(mesh.b, "inbound");
  expect(await ask(paths(other))).not.toContain("hello");
  const refusal = `${other} is not one of those allowed here: ${meant} \\(\\S+policy.yaml`;
  await saidBy(mesh.b, `Refused connection from ${mesh.c.address4}:.* ${refusal}`, before);
  expect(await notAllowed(mesh.b, "inbound")).toBeGreaterThan(count);
});

test("the proxy of pod a is refused too, because its identity is not allowed", async () => {
  const before = outputOf(mesh.b).length;
  expect(await mesh.a.agent.attempt(mesh.b.address4, 8000)).toBe("ECONNRESET");
  const own = `spiffe://test.example/host/${mesh.a.address4}`;
  await saidBy(mesh.b, `Refused connection from ${mesh.a.address4}:.* ${own} is not one`, before);
});

/** HAProxy as a server: mutual TLS outside, the application's cleartext inside. */
async function haproxyServer(port: number, own: CredentialPaths): Promise<Running> {
  const listen = `bind :${port} ssl crt ${joined(own)} ca-file ${own.authority} verify required
 server application 127.0.0.1:8000`;
  return await haproxy(port, listen, own);
}

/** HAProxy as a client. */
async function haproxyClient(own: CredentialPaths): Promise<string> {
  const port = nextPort();
  const listen = `bind 127.0.0.1:${port}
 server peer ${mesh.b.address4}:8000 ssl crt ${joined(own)} ca-file ${own.authority} verify required`;
  const running = await haproxy(port, listen, own);
  const { output } = await curl(mesh.c, `http://127.0.0.1:${port}/`);
  await running.end();
  return output;
}

async function haproxy(port: number, listen: string, own: CredentialPaths): Promise<Running> {
  const configuration = `${own.directory}/haproxy.cfg`;
  const timeouts = "timeout connect 5s\n timeout client 5s\n timeout server 5s";
  writeFileSync(configuration, `defaults\n mode tcp\n ${timeouts}\nlisten peer\n ${listen}\n`);
  const running = mesh.c.start(["haproxy", "-db", "-f", configuration]);
  await listening(mesh.c, port);
  return running;
}

async function sClient(own: CredentialPaths): Promise<string> {
  const request = "GET / HTTP/1.0\r\n\r\n";
  return (await opensslClient(mesh.c, `${mesh.b.address4}:8000`, own, request)).output;
}

/** curl requires an address in the server's certificate, which a workload's does not have. */
async function curlClient({ certificate, key }: CredentialPaths): Promise<string> {
  const own = ["-k", "--cert", certificate, "--key", key];
  return (await curl(mesh.c, ...own, `https://${mesh.b.address4}:8000/`)).output;
}

/** Credentials without any address. */
function paths(spiffeId: string): CredentialPaths {
  return mesh.credentials(mesh.c, { spiffeId, ips: [] });
}

/** Certificate and key in one file, as HAProxy requires. */
function joined({ directory, certificate, key }: CredentialPaths): string {
  const both = [certificate, key].map((path) => readFileSync(path, "utf8")).join("\n");
  writeFileSync(`${directory}/both.pem`, both);
  return `${directory}/both.pem`;
}

function proxyOf(pod: Pod): Running {
  const proxy = mesh.proxies[pod === mesh.a ? 0 : 1];
  if (proxy === undefined) throw new Error("no proxy there");
  return proxy;
}

function outputOf(pod: Pod): string {
  return proxyOf(pod).output;
}

/** Waits for a line after the first `from` characters of the output. */
async function saidBy(pod: Pod, line: string, from = 0): Promise<void> {
  await proxyOf(pod).says(new RegExp(`(?<=^[^]{${from},})${line}`));
}

async function notAllowed(pod: Pod, direction: string): Promise<number> {
  const name = `tproxy_handshake_failures_total{direction="${direction}",reason="not-allowed"}`;
  return (await metrics(pod)).get(name) ?? Number.NaN;
}

function nextPort(): number {
  return (portBefore += 1);
}

let portBefore = 7000;
