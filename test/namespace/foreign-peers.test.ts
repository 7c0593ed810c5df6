/** Peers from other projects: openssl, curl and HAProxy, as client and as server. */
import { writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { curl, listening, opensslClient, opensslServer } from "../support/programs.ts";
import { serveHttp } from "../support/http.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
  await serveHttp(mesh.b, 8000, "hello from b");
});

test("curl with a certificate reaches the application behind the proxy", async () => {
  const { certificate, key, authority } = mesh.credentials(mesh.c);
  const own = ["--cert", certificate, "--key", key, "--cacert", authority];
  const url = `https://${mesh.b.address4}:8000/`;
  expect(await curl(mesh.c, ...own, url)).toEqual({ code: 0, output: "hello from b" });
});

test("openssl s_client with a certificate reaches the application", async () => {
  const request = "GET / HTTP/1.0\r\n\r\n";
  const address = `${mesh.b.address4}:8000`;
  const { output } = await opensslClient(mesh.c, address, mesh.credentials(mesh.c), request);
  expect(output).toContain("hello from b");
  expect(output).toContain("TLSv1.3");
});

test("openssl s_server is reached through the proxy and sees our certificate", async () => {
  const server = await opensslServer(mesh.c, 8443, mesh.credentials(mesh.c));
  const { code, output } = await curl(mesh.a, `http://${mesh.c.address4}:8443/`);
  expect([code, output]).toEqual([0, expect.stringContaining("TLSv1.3")]);
  await server.end();
});

test("HAProxy is reached by the proxy as a server, and reaches it as a client", async () => {
  const paths = mesh.credentials(mesh.c);
  const both = `${paths.directory}/both.pem`;
  writeFileSync(both, await joined(paths.certificate, paths.key));
  const configuration = `${paths.directory}/haproxy.cfg`;
  writeFileSync(configuration, haproxyOf(both, paths.authority));
  const haproxy = mesh.c.start(["haproxy", "-db", "-f", configuration]);
  await listening(mesh.c, 7001);
  await serveHttp(mesh.c, 8000, "hello from c");
  const inward = await curl(
    mesh.a,
    "--retry",
    "3",
    "--retry-all-errors",
    `http://${mesh.c.address4}:7001/`,
  );
  expect(inward).toEqual({ code: 0, output: "hello from c" });
  const outward = await curl(mesh.c, `http://127.0.0.1:7002/`);
  expect(outward).toEqual({ code: 0, output: "hello from b" });
  await haproxy.end();
});

function haproxyOf(pem: string, authority: string): string {
  const timeouts = "timeout connect 5s\n timeout client 5s\n timeout server 5s";
  return `global
 log stderr local0
defaults
 mode tcp
 ${timeouts}
listen inward
 bind :7001 ssl crt ${pem} ca-file ${authority} verify required
 server application 127.0.0.1:8000
listen outward
 bind 127.0.0.1:7002
 server peer ${mesh.b.address4}:8000 ssl crt ${pem} ca-file ${authority} verify required
`;
}

async function joined(...paths: readonly string[]): Promise<string> {
  const texts = await Promise.all(paths.map(async (path) => await Bun.file(path).text()));
  return texts.join("\n");
}
