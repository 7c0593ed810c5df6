/**
 * Connections end when the certificates that authenticated them expire, or at --connection-max-age; a rotation does
 * not end them.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor } from "../support/credentials.ts";
import { deadlineMs } from "../support/deadline.ts";
import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, readyzOnce } from "../support/status.ts";

const aged = (direction: string): string =>
  `tproxy_tcp_close_total{direction="${direction}",how="aged"}`;

test("--connection-max-age resets idle and busy connections and counts them; new ones are accepted", async () => {
  const mesh = Mesh.create();
  mesh.proxies.push(
    await mesh.proxy(mesh.a),
    await mesh.proxy(mesh.b, ["--connection-max-age", "2s"]),
  );
  const idle = await mesh.connection();
  const busy = await mesh.connection();
  busy.client.chatter("more ");
  expect((await idle.client.finish()).ending).toBe("ECONNRESET");
  expect((await idle.server.finish()).ending).toBe("ECONNRESET");
  expect((await busy.server.finish()).ending).toBe("ECONNRESET");
  await metricOnce(mesh.b, aged("inbound"), (count) => count === 2);
  await mesh.proxies[1]?.says(/end="downstream: it was older than --connection-max-age"/);
  const { client, server } = await mesh.connection();
  await client.say("new");
  expect((await server.received(3)).text).toBe("new");
});

test("a connection ends when the certificate it was made with expires, even if that was renewed", async () => {
  const mesh = Mesh.create();
  const { b } = mesh;
  const paths = credentialsFor([b.address4, b.address6], { lastsMs: deadlineMs(6000) });
  mesh.proxies.push(await mesh.proxy(mesh.a), await b.proxy(flagsOf(paths)));
  const old = await mesh.connection();
  const fresh = credentialsFor([b.address4, b.address6]);
  for (const [from, to] of [
    [fresh.key, paths.key],
    [fresh.certificate, paths.certificate],
  ] as const) {
    writeFileSync(`${to}.new`, readFileSync(from));
    renameSync(`${to}.new`, to);
  }
  await metricOnce(b, 'tproxy_credential_reloads_total{result="replaced"}', (count) => count === 1);
  const young = await mesh.connection();
  await old.client.say("still");
  expect((await old.server.received(5)).text).toBe("still");
  expect((await old.client.finish()).ending).toBe("ECONNRESET");
  for (const [pod, direction] of [
    [mesh.a, "outbound"],
    [mesh.b, "inbound"],
  ] as const) {
    const all = await metricOnce(pod, aged(direction), (count) => count <= 1);
    expect(all.get(`tproxy_tcp_open_connections{direction="${direction}"}`)).toBe(1);
  }
  await young.client.say("young");
  expect((await young.server.received(5)).text).toBe("young");
});

test("a certificate that expires is logged, then makes the proxy unready, and peers get the reason", async () => {
  const mesh = Mesh.create();
  const { b } = mesh;
  const paths = credentialsFor([b.address4, b.address6], { lastsMs: deadlineMs(4000) });
  const proxy = await b.proxy(flagsOf(paths));
  mesh.proxies.push(await mesh.proxy(mesh.a), proxy);
  await serveHttp(b, 8000, "served");
  expect((await curl(mesh.a, `http://${b.address4}:8000/`)).output).toBe("served");
  await proxy.says(/W\S+ .*credentials\] the certificate expires at \S+: 0 % of its time is left/);
  const { text } = await readyzOnce(b, 503);
  expect(text).toContain("certificate has expired");
  await proxy.says(/W\S+ .*credentials\] the certificate has expired/);
  expect((await curl(mesh.a, `http://${b.address4}:8000/`)).code).not.toBe(0);
  await mesh.proxies[0]?.says(/\[10\.77\.0\.2:8000\]: certificate has expired/);
});
