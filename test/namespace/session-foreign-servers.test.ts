/** Foreign servers may fail when offered a session ticket, or resume with a certificate that has expired since. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import type { CredentialPaths } from "../support/credentials.ts";
import { deadlineMs } from "../support/deadline.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { curl, opensslServer, resetByCurl } from "../support/programs.ts";
import { metricOnce } from "../support/status.ts";

const resumptions = 'tproxy_handshake_resumptions_total{direction="outbound"}';
const handshakes = 'tproxy_handshake_seconds_count{direction="outbound"}';

async function meshWith(...options: readonly string[]): Promise<Mesh> {
  const mesh = Mesh.create();
  mesh.proxies.push(await mesh.proxy(mesh.a, options));
  return mesh;
}

async function ask({ a, c }: Mesh): Promise<string> {
  return (await curl(a, `http://${c.address4}:8443/`)).output;
}

test("OpenSSL's server resumes over TLS 1.3", async () => {
  const mesh = await meshWith();
  await opensslServer(mesh.c, 8443, mesh.credentials(mesh.c));
  expect(await ask(mesh)).toContain("New, TLSv1.3");
  for (let turn = 0; turn < 4; turn += 1) expect(await ask(mesh)).toContain("Reused, TLSv1.3");
});

test("over TLS 1.2, where it would cost forward secrecy, sessions are not resumed", async () => {
  const mesh = await meshWith("--tls-min", "1.2");
  await opensslServer(mesh.c, 8443, mesh.credentials(mesh.c), "-tls1_2");
  for (let turn = 0; turn < 3; turn += 1) expect(await ask(mesh)).toContain("New, TLSv1.2");
});

test("a server with its own protocol, which gets a second handshake without ours, is not resumed", async () => {
  const mesh = await meshWith();
  await opensslServer(mesh.c, 8443, mesh.credentials(mesh.c), "-alpn", "http/1.1");
  for (let turn = 0; turn < 3; turn += 1) expect(await ask(mesh)).toContain("New, TLSv1.3");
});

/** A server that fails when it is offered a ticket. */
async function refuserOfTickets(mesh: Mesh, how: "alert" | "reset"): Promise<Running> {
  const { certificate, key, authority } = mesh.credentials(mesh.c);
  const script = `${import.meta.dir}/../support/ticket-refuser.ts`;
  const server = mesh.c.start(["bun", script, how, "8443", certificate, key, authority]);
  await server.says(/serving/);
  return server;
}

test("a server that resets when offered a ticket does so only once", async () => {
  const mesh = await meshWith();
  const server = await refuserOfTickets(mesh, "reset");
  const answers: string[] = [];
  for (let turn = 0; turn < 5; turn += 1) answers.push(await ask(mesh));
  const served = "served";
  expect(answers).toEqual([served, expect.stringMatching(resetByCurl), served, served, served]);
  expect(server.output.match(/refused/g)).toHaveLength(1);
});

test("a server that fails when offered a ticket is tried without one, and from then on at once", async () => {
  const mesh = await meshWith();
  const server = await refuserOfTickets(mesh, "alert");
  for (let turn = 0; turn < 4; turn += 1) expect(await ask(mesh)).toBe("served");
  await server.says(/refused/);
  expect(server.output.match(/refused/g)).toHaveLength(1);
  const all = await metricOnce(mesh.a, handshakes, (count) => count === 4);
  expect(all.get(resumptions)).toBe(0);
});

/**
 * A server that prints a line per connection. Its tickets outlive its certificate: after a request it uses the second
 * one.
 */
async function keeperOfTickets(pod: Pod, two: readonly CredentialPaths[]): Promise<Running> {
  const texts = two.map(({ certificate, key, authority }) => ({
    cert: readFileSync(certificate, "utf8"),
    key: readFileSync(key, "utf8"),
    ca: readFileSync(authority, "utf8"),
  }));
  const script = `
    const [before, after] = ${JSON.stringify(texts)}.map((one) => ({ ...one, ticketKeys: Buffer.alloc(48, 1) }));
    const server = require("node:tls").createServer({ ...before, requestCert: true }, (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        server.setSecureContext(after);
        socket.end("HTTP/1.0 200 OK\\r\\n\\r\\nserved");
      });
    });
    server.on("connection", () => console.log("asked"));
    server.listen(8443, "::", () => console.log("serving"));`;
  const running = pod.start(["node", "-e", script]);
  await running.says(/serving/);
  return running;
}

async function expired({ certificate }: CredentialPaths, pod: Pod): Promise<void> {
  const { validTo } = new X509Certificate(readFileSync(certificate));
  while (Date.parse(validTo) >= Date.now()) await pod.run(["true"]);
}

test("a server that resumes although its certificate has expired gets a full handshake instead", async () => {
  const mesh = await meshWith();
  const { c } = mesh;
  const short = mesh.credentials(c, { lastsMs: deadlineMs(8000) });
  const server = await keeperOfTickets(c, [short, mesh.credentials(c)]);
  expect(await ask(mesh)).toBe("served");
  await expired(short, c);
  expect(await ask(mesh)).toBe("served");
  // First without a ticket, then with one, then without.
  await server.says(/(?:asked\s+){3}/);
});

test("a server with only an expired certificate is refused, with and without tickets", async () => {
  const mesh = await meshWith();
  const short = mesh.credentials(mesh.c, { lastsMs: deadlineMs(8000) });
  const server = await keeperOfTickets(mesh.c, [short, short]);
  expect(await ask(mesh)).toBe("served");
  await expired(short, mesh.c);
  expect(await ask(mesh)).not.toContain("served");
  // First without a ticket, then with one, then without.
  await server.says(/(?:asked\s+){3}/);
  await mesh.proxies[0]?.says(/certificate has expired/);
});
