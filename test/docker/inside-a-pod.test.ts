/**
 * Connections from an application in a pod: outside the mesh in cleartext, to peers by mutual TLS, to nothing else in
 * the mesh, to the pod itself as before.
 */
import { expect, test } from "bun:test";

import { applicationPort, Cluster } from "../support/containers.ts";
import { docker } from "../support/docker.ts";

const cluster = await Cluster.create();
/** Outside the private ranges, which are the mesh by default: RFC 2544. */
const internet = await Cluster.create({ range4: "198.18.%", range6: "2001:db8:%" });
const [a, b, c, outside] = await Promise.all([
  cluster.pod("a"),
  cluster.pod("b"),
  cluster.pod("c"),
  internet.pod("outside"),
]);
await docker("network", "connect", internet.name, a.pause.name);
const [proxyA, proxyB] = await Promise.all([
  a.proxy({ credentials: cluster.certificate(a) }),
  b.proxy({ credentials: cluster.certificate(b) }),
]);

const at = (host: string, port = applicationPort): string => `http://${host}:${port}/`;

test("a destination outside the mesh is reached in cleartext", async () => {
  expect(await a.curl(at(outside.address4))).toEqual(hello("outside"));
  expect(proxyA.output).not.toContain(outside.address4);
});

test("a pod with a proxy is reached by mutual TLS, and its application sees the client's address", async () => {
  expect(await a.curl(at(b.address4))).toEqual(hello("b"));
  await proxyB.says(
    new RegExp(
      `inbound\\] Closed connection from ${a.address4}:\\d+ to \\[${b.address4}:8080\\]: ` +
        'peer=spiffe://cluster.local/ns/default/sa/a .* end="clean"',
    ),
  );
});

test("a connection to a plain HTTP server in the mesh is reset, and the log says why", async () => {
  expect((await a.curl(at(c.address4))).stdout).toBe("");
  expect(await a.agent().attempt(c.address4, applicationPort)).toBe("ECONNRESET");
  await proxyA.says(
    new RegExp(
      `Failed to connect to original destination \\[${c.address4}:8080\\]: .*TLS.* from=${a.address4}:`,
    ),
  );
});

test("a connection to an HTTPS server in the mesh that is no peer is reset, and the log says why", async () => {
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=c";
  const files = "-keyout /tmp/key.pem -out /tmp/cert.pem";
  expect((await c.exec("openssl", ...`${made} ${files}`.split(" "))).code).toBe(0);
  const server = c.start(
    ..."openssl s_server -accept 8443 -www -key /tmp/key.pem -cert /tmp/cert.pem".split(" "),
  );
  await server.says(/ACCEPT/);
  expect((await c.curl("-k", "https://127.0.0.1:8443/")).code).toBe(0);
  expect(await a.agent().attempt(c.address4, 8443)).toBe("ECONNRESET");
  await proxyA.says(
    new RegExp(
      `Failed to connect to original destination \\[${c.address4}:8443\\]: .*(authority|self.signed|certificate)`,
    ),
  );
});

test.each(["127.0.0.1", "localhost", "[::1]"])(
  "the pod reaches its own application on %s",
  async (host) => {
    expect(await a.curl(at(host))).toEqual(hello("a"));
  },
);

test("the pod reaches its own application on its own address", async () => {
  expect(await a.curl(at(a.address4))).toEqual(hello("a"));
});

function hello(name: string): { code: number; stdout: string; stderr: string } {
  return { code: 0, stdout: `hello from ${name}\n`, stderr: "" };
}
