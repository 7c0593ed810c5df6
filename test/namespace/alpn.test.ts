/** A server that insists on its own ALPN protocol, as Go's and Node's servers do, is reached all the same. */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { askOnce, serveMirror } from "../support/sights.ts";

test("a server that refuses our protocol gets a second handshake without it", async () => {
  const mesh = Mesh.create();
  mesh.proxies.push(await mesh.proxy(mesh.a));
  const { certificate, key, authority } = mesh.credentials(mesh.c);
  const [cert, privateKey, ca] = [certificate, key, authority].map((path) =>
    JSON.stringify(readFileSync(path, "utf8")),
  );
  const script = `
    const options = { cert: ${cert}, key: ${privateKey}, ca: ${ca}, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["http/1.1"] };
    const server = require("node:https").createServer(options, (request, response) => response.end("with ALPN"));
    server.on("tlsClientError", (error) => console.log("refused", error.code));
    server.listen(8000, "::", () => console.log("serving"));`;
  const server = mesh.c.start(["node", "-e", script]);
  await server.says(/serving/);
  expect((await curl(mesh.a, `http://${mesh.c.address4}:8000/`)).output).toBe("with ALPN");
  await server.says(/refused ERR_SSL_NO_APPLICATION_PROTOCOL|refused \w+/);
});

/** A pod's certificate files as options for a Node script. */
function optionsOf(mesh: Mesh, pod: Pod): string {
  const { certificate, key, authority } = mesh.credentials(pod);
  const [cert, privateKey, ca] = [certificate, key, authority].map((path) =>
    JSON.stringify(readFileSync(path, "utf8")),
  );
  return `{ cert: ${cert}, key: ${privateKey}, ca: ${ca}, checkServerIdentity: () => undefined }`;
}

const answer = `(stream) => { stream.respond({ ":status": 200 }); stream.end("over HTTP/2"); }`;

/** A client that requires HTTP/2: over TLS, by ALPN. */
function requesting(address: string, options: string): string {
  return `
    const session = require("node:http2").connect("${address}", ${options});
    session.on("connect", (_, socket) => {
      if (socket.encrypted && socket.alpnProtocol !== "h2") session.destroy(new Error("no ALPN, as gRPC says"));
    });
    session.on("error", (error) => console.log("failed", error.code));
    const stream = session.request({ ":path": "/" });
    let text = "";
    stream.on("data", (chunk) => { text += chunk; });
    stream.on("error", () => undefined);
    stream.on("close", () => { console.log("got", JSON.stringify(text)); session.close(); });`;
}

test("an HTTP/2 client with its own TLS reaches the application when the policy names the protocol", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("inbound: { ports: { 9000: { alpn: [h2] } } }");
  const proxy = await mesh.proxy(mesh.b, policy.flags);
  const script = `
    for (const port of [9000, 9001]) {
      const server = require("node:http2").createServer();
      server.on("stream", ${answer});
      server.listen(port, "::", () => console.log("serving", port));
    }`;
  const server = mesh.b.start(["node", "-e", script]);
  await server.says(/serving 9001/);
  const ask = async (port: number): Promise<string> => {
    const address = `https://${mesh.b.address4}:${port}`;
    const { stdout } = await mesh.c.run([
      "node",
      "-e",
      requesting(address, optionsOf(mesh, mesh.c)),
    ]);
    return stdout;
  };
  expect(await ask(9000)).toContain('got "over HTTP/2"');
  expect(await ask(9001)).not.toContain("over HTTP/2");
  policy.write("inbound: { ports: { 9001: { alpn: [http/1.1, h2] } } }");
  await proxy.says(/policy\] replaced/);
  expect(await ask(9001)).toContain('got "over HTTP/2"');
});

test("an HTTP/2 server with its own TLS is reached when the policy names the protocol to offer", async () => {
  const mesh = Mesh.create();
  const ranges = `${mesh.c.address4}/32`;
  const policy = new PolicyFile("{}");
  const proxy = await mesh.proxy(mesh.a, policy.flags);
  const script = `
    const options = ${optionsOf(mesh, mesh.c)};
    const server = require("node:http2").createSecureServer({ ...options, requestCert: true, rejectUnauthorized: true });
    server.on("stream", ${answer});
    server.on("unknownProtocol", (socket) => { console.log("no HTTP/2"); socket.destroy(); });
    server.on("secureConnection", (socket) => { console.log("spoken", socket.alpnProtocol); });
    server.listen(9001, "::", () => console.log("serving"));`;
  const server = mesh.c.start(["node", "-e", script]);
  await server.says(/serving/);
  const ask = async (): Promise<string> => {
    const address = `http://${mesh.c.address4}:9001`;
    return (await mesh.a.run(["node", "-e", requesting(address, "{}")])).stdout;
  };
  expect(await ask()).not.toContain("over HTTP/2");
  policy.write(`outbound: { expect: [{ to: ${ranges}, alpn: [h2] }] }`);
  await proxy.says(/policy\] replaced/);
  expect(await ask()).toContain('got "over HTTP/2"');
  expect(server.output).toContain("spoken h2");
});

test("two proxies keep using their own protocol when the policy names others", async () => {
  const mesh = Mesh.create();
  const ranges = `${mesh.b.address4}/32`;
  await mesh.proxy(
    mesh.a,
    new PolicyFile(`outbound: { expect: [{ to: ${ranges}, alpn: [h2] }] }`).flags,
  );
  await mesh.proxy(mesh.b, new PolicyFile("inbound: { ports: { 8080: { alpn: [h2] } } }").flags);
  await serveMirror(mesh.b, 8080);
  const { own, seen } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
  // Only tproxy/2 transmits the client's port.
  expect(seen).toBe(own);
});
