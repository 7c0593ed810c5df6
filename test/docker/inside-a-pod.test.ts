/** From the application in a pod: the world in clear, peers by mutual TLS, nobody else in the mesh, itself as ever. */
import { expect, test } from "bun:test";

import { applicationPort, Cluster } from "../support/containers.ts";
import { docker } from "../support/docker.ts";

const cluster = await Cluster.create();
/** Not one of the private ranges that are the mesh: RFC 2544. */
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

test("a destination outside of the mesh is reached in clear", async () => {
  expect(await a.curl(at(outside.address4))).toEqual(hello("outside"));
  expect(proxyA.output).not.toContain(outside.address4);
});

test("another pod with a proxy is reached by mutual TLS, and sees who comes", async () => {
  expect(await a.curl(at(b.address4))).toEqual(hello("b"));
  await proxyB.says(
    new RegExp(
      `inbound\\] Closed connection from ${a.address4}:\\d+ to \\[${b.address4}:8080\\]: ` +
        'peer=spiffe://cluster.local/ns/default/sa/a .* end="clean"',
    ),
  );
});

test("a plain HTTP server in the mesh is not spoken to in clear: reset, and the log says why", async () => {
  expect((await a.curl(at(c.address4))).stdout).toBe("");
  expect(await a.agent().attempt(c.address4, applicationPort)).toBe("ECONNRESET");
  await proxyA.says(
    new RegExp(
      `Failed to connect to original destination \\[${c.address4}:8080\\]: .*TLS.* from=${a.address4}:`,
    ),
  );
});

test("an HTTPS server in the mesh that is no peer: reset, and the log says why", async () => {
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

test.each(["127.0.0.1", "localhost", "[::1]"])("its own application on %s", async (host) => {
  expect(await a.curl(at(host))).toEqual(hello("a"));
});

test("its own application on the pod's own address", async () => {
  expect(await a.curl(at(a.address4))).toEqual(hello("a"));
});

function hello(name: string): { code: number; stdout: string; stderr: string } {
  return { code: 0, stdout: `hello from ${name}\n`, stderr: "" };
}
