/** A policy that changes in a bad state: rules changed by others, a half-written file, old connections. */
import { appendFileSync, renameSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { capture } from "../support/capture.ts";
import { credentialsFor } from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics, readyz } from "../support/status.ts";

const replaced = 'tproxy_policy_reloads_total{result="replaced"}';
const kept = 'tproxy_policy_reloads_total{result="kept"}';

async function ask(from: Pod, to: Pod, port = 8000): Promise<string> {
  return (await curl(from, "--max-time", "3", `http://${to.address4}:${port}/`)).output;
}

test.each([
  [
    "an element is gone",
    ["nft", "delete", "element", "inet", "tls-tproxy", "mesh4", "{ 10.0.0.0/8 }"],
  ],
  ["the routing rule is gone", ["ip", "rule", "del", "priority", "100"]],
  ["the table is gone", ["nft", "delete", "table", "inet", "tls-tproxy"]],
])("where %s, a change rewrites all rules before it reports success", async (_, spoil) => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  await mesh.proxy(mesh.a, policy.flags);
  await serveHttp(mesh.b, 8000, "in clear");
  expect((await mesh.a.run(spoil)).code).toBe(0);
  policy.write("inbound: { allow: [] }");
  await metricOnce(mesh.a, replaced, (count) => count === 1);
  expect((await readyz(mesh.a)).status).toBe(200);
  expect(await ask(mesh.a, mesh.b)).not.toContain("in clear");
});

test("a port that becomes passthrough does not affect diverted connections that use it as their own port", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const own = 50_051;
  mesh.proxies.push(await mesh.proxy(mesh.a, policy.flags), await mesh.proxy(mesh.b));
  const script =
    `const { connect } = require("node:net"); const s = connect({ host: "${mesh.b.address4}", port: 8080, localPort: ${own} });` +
    `s.on("connect", () => { console.log("connected"); setInterval(() => s.write("not in clear "), 1); }); s.on("error", () => console.log("over"));`;
  await mesh.b.agent.listen("::", 8080);
  const client = mesh.a.start(["bun", "-e", script]);
  await client.says(/connected/);
  const { bytes } = await capture(mesh.a, async () => {
    policy.write(`inbound: { ports: { ${own}: { mode: passthrough } } }`);
    await metricOnce(mesh.a, replaced, (count) => count === 1);
    await client.says(/over/);
  });
  expect(bytes.includes("not in clear ")).toBe(false);
});

test.each(["mesh", "elsewhere"])(
  "a port that stops being passthrough resets its cleartext connections from clients in the %s",
  async (where) => {
    const mesh = Mesh.create();
    const range = where === "mesh" ? "10.77.0.0/24" : "10.99.0.0/24";
    const text = (mode: string): string =>
      `outbound: { mesh: [${range}], exclude: [10.77.0.2, "::/0"] }\ninbound: { ports: { 8080: { mode: ${mode} } } }`;
    const policy = new PolicyFile(text("passthrough"));
    await mesh.proxy(mesh.b, policy.flags);
    const { client, server } = await mesh.connection(mesh.b.address4, mesh.c, "hello");
    await server.received(5);
    policy.write(text("strict"));
    expect((await client.finish()).ending).toBe("ECONNRESET");
    expect((await server.finish()).ending).not.toBe("end");
    await metricOnce(mesh.b, "tproxy_cleartext_connections_reset_total", (count) => count === 1);
  },
);

test("a destination that joins the mesh ends the cleartext connections to it", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile('outbound: { mesh: [10.99.0.0/24], exclude: [10.77.0.1, "::/0"] }');
  await mesh.proxy(mesh.a, policy.flags);
  const { client, server } = await mesh.connection(mesh.b.address4, mesh.a, "hello");
  await server.received(5);
  policy.write('outbound: { mesh: [10.77.0.0/24], exclude: ["::/0"] }');
  expect((await server.finish()).ending).toBe("ECONNRESET");
  expect((await client.finish()).ending).not.toBe("end");
  await metricOnce(mesh.a, "tproxy_cleartext_connections_reset_total", (count) => count === 1);
});

test("a file written in place is read only when it is complete", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("inbound: { allow: [] }");
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, policy.flags));
  await serveHttp(mesh.b, 8000, "served");
  // Half of the file would admit every client. The writer continues while the proxy reads it, however long that
  // takes.
  writeFileSync(policy.path, "inbound:\n  mode: strict\n");
  const goOn = (): void => {
    appendFileSync(policy.path, "#\n");
  };
  const writing = setInterval(goOn, 50);
  for (let asked = 0; asked < 5; asked += 1)
    expect(await ask(mesh.a, mesh.b)).not.toContain("served");
  clearInterval(writing);
  appendFileSync(policy.path, '  allow: ["spiffe://test.example/nobody"]\n');
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
});

test("a changed comment moves line numbers only: no connection waits, no ticket is dropped", async () => {
  const mesh = Mesh.create();
  const text = `inbound: { allow: ["spiffe://test.example/nobody"] }`;
  const policy = new PolicyFile(text);
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, policy.flags));
  await serveHttp(mesh.b, 8000, "served");
  policy.write(`# one line more\n${text}`);
  for (;;) {
    await ask(mesh.a, mesh.b);
    if (mesh.proxies[1]?.output.includes("policy.yaml:2)") === true) break;
  }
  expect((await metrics(mesh.b)).get(replaced)).toBe(0);
});

test("SIGHUP reports the same mistake again", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const proxy = await mesh.proxy(mesh.b, policy.flags);
  policy.write("inbound: [");
  await metricOnce(mesh.b, kept, (count) => count === 1);
  proxy.child.kill("SIGHUP");
  await metricOnce(mesh.b, kept, (count) => count === 2);
});

test("a new certificate without the SPIFFE ID that defines the peers is refused, and the old one stays", async () => {
  const mesh = Mesh.create();
  const paths = credentialsFor([mesh.b.address4]);
  const proxy = await mesh.b.proxy(flagsOf(paths));
  await mesh.proxy(mesh.a, [], { spiffeId: "spiffe://other.example/a" });
  await serveHttp(mesh.b, 8000, "served");
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
  const nameless = credentialsFor([mesh.b.address4], { spiffeId: null });
  for (const name of ["key", "certificate"] as const) {
    writeFileSync(`${paths[name]}.new`, readFileSync(nameless[name]));
    renameSync(`${paths[name]}.new`, paths[name]);
  }
  await proxy.says(/the old ones stay in use: .*would change which peers are accepted/);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
});

test("admitted cleartext takes at most half of the places", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("inbound: { ports: { 8080: { mode: permissive } } }");
  mesh.proxies.push(
    await mesh.proxy(mesh.a),
    await mesh.proxy(mesh.b, [...policy.flags, "--connections", "6"]),
  );
  await serveHttp(mesh.b, 8000, "served");
  for (let turn = 0; turn < 3; turn += 1) await mesh.connection(mesh.b.address4, mesh.c, "hello");
  expect(await mesh.c.agent.attempt(mesh.b.address4, 8080)).toBe("ECONNRESET");
  await serveHttp(mesh.a, 8000, "served");
  expect(await ask(mesh.b, mesh.a)).toBe("served");
});
