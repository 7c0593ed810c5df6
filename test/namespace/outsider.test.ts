/** Clients outside the mesh get nothing from the application; each refusal has its control without the rules. */
import { beforeAll, describe, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { curl, opensslClient } from "../support/programs.ts";
import { serveHttp } from "../support/http.ts";

const mesh = Mesh.create();
const bare = Mesh.create();

beforeAll(async () => {
  await serveHttp(mesh.b, 8000, "hello from b");
  await serveHttp(bare.b, 8000, "hello from b");
  await mesh.startProxies();
});

describe.each(["IPv4", "IPv6"] as const)("over %s", (family) => {
  test("a plain client is refused", async () => {
    const { code, output } = await curl(mesh.c, `http://${hostOf(mesh, family)}:8000/`);
    expect(code).not.toBe(0);
    expect(output).not.toContain("hello");
    await mesh.proxies[1]?.says(
      /Refused connection from \S+ to \S+: .*plain HTTP \(HTTP_REQUEST\)/,
    );
  });

  test("control: without the rules the plain client is served", async () => {
    const url = `http://${hostOf(bare, family)}:8000/`;
    expect(await curl(bare.c, url)).toEqual({ code: 0, output: "hello from b" });
  });

  test("a TLS client without a certificate is refused", async () => {
    const { code, output } = await curl(mesh.c, "-k", `https://${hostOf(mesh, family)}:8000/`);
    expect(code).not.toBe(0);
    expect(output).toContain("certificate required");
  });
});

test.each([
  ["of another CA", { foreign: true }],
  ["that has expired", { expired: true }],
  ["that is not valid yet", { early: true }],
  ["for servers only", { usages: ["serverAuth"] }],
  ["of a CA (CA:TRUE)", { isAuthority: true }],
] as const)("a client with a certificate %s is refused", async (_, defect) => {
  const paths = mesh.credentials(mesh.c, defect);
  const before = mesh.proxies[1]?.output.length ?? 0;
  const { output } = await opensslClient(mesh.c, `${mesh.b.address4}:8000`, paths, request);
  expect(output).not.toContain("hello from b");
  await mesh.proxies[1]?.says(/Refused connection from 10\.77\.0\.3/);
  expect(mesh.proxies[1]?.output.slice(before)).not.toContain("Closed connection");
});

test("control: with a good certificate the same client is served", async () => {
  const address = `${mesh.b.address4}:8000`;
  const { output } = await opensslClient(mesh.c, address, mesh.credentials(mesh.c), request);
  expect(output).toContain("hello from b");
  // The log line may come after the client has ended: no other test may take it for its own.
  await mesh.proxies[1]?.says(/Closed connection from 10\.77\.0\.3/);
});

test("a client that speaks TLS 1.2 is refused, and served with --tls-min 1.2", async () => {
  const { certificate, key } = mesh.credentials(mesh.c);
  const own = ["-k", "--cert", certificate, "--key", key, "--tls-max", "1.2"];
  expect((await curl(mesh.c, ...own, `https://${mesh.b.address4}:8000/`)).code).not.toBe(0);
  await mesh.proxies[1]?.says(/the peer's TLS version is too old, see --tls-min/);
  const old = Mesh.create();
  await serveHttp(old.b, 8000, "hello from b");
  await old.proxy(old.b, ["--tls-min", "1.2"]);
  const mine = old.credentials(old.c);
  const theirs = ["-k", "--cert", mine.certificate, "--key", mine.key, "--tls-max", "1.2"];
  const { output } = await curl(old.c, ...theirs, `https://${old.b.address4}:8000/`);
  expect(output).toBe("hello from b");
});

const request = "GET / HTTP/1.0\r\n\r\n";

function hostOf(of: Mesh, family: "IPv4" | "IPv6"): string {
  return family === "IPv4" ? of.b.address4 : `[${of.b.address6}]`;
}
