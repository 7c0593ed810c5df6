/** A server that insists on a protocol of its own by ALPN, as Go's and Node's do, is reached all the same. */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";

test("a server that refuses our protocol is asked again without one", async () => {
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
