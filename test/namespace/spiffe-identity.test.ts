/**
 * --verify spiffe: a peer is a workload of the trust domain, whatever its address; others are refused with a reason.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable } from "../support/pods.ts";
import { curl, opensslServer } from "../support/programs.ts";
import { metrics } from "../support/status.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await serveHttp(mesh.b, 8000, "hello from b");
  for (const pod of [mesh.a, mesh.b]) {
    // No address is named: the SPIFFE ID alone identifies the pod.
    mesh.proxies.push(await mesh.proxy(pod, ["--verify", "spiffe"], { ips: [] }));
  }
});

test("two workloads of a trust domain authenticate without any address in their certificates", async () => {
  const { output } = await curl(mesh.a, `http://${mesh.b.address4}:8000/`);
  expect(output).toBe("hello from b");
  await mesh.proxies[1]?.says(
    /Closed connection .*peer=spiffe:\/\/test\.example\/host\/10\.77\.0\.1/,
  );
});

test.each([
  ["another trust domain", { spiffeId: "spiffe://other.example/host/c" }, "wrong-trust-domain"],
  ["no SPIFFE ID", { spiffeId: null }, "no-spiffe-id"],
] as const)("a client of %s is refused", async (_, defect, reason) => {
  const { certificate, key } = mesh.credentials(mesh.c, defect);
  const own = ["-k", "--cert", certificate, "--key", key];
  const { code, output } = await curl(mesh.c, ...own, `https://${mesh.b.address4}:8000/`);
  expect([code === 0, output.includes("hello")]).toEqual([false, false]);
  const name = `tproxy_handshake_failures_total{direction="inbound",reason="${reason}"}`;
  expect((await metrics(mesh.b)).get(name)).toBe(1);
});

test.each([
  [
    "another trust domain",
    { spiffeId: "spiffe://other.example/host/c" },
    /not of the trust domain/,
  ],
  ["no SPIFFE ID", { spiffeId: null }, /certificate has no SPIFFE ID: it has no URI name/],
] as const)("a server of %s is refused", async (_, defect, says) => {
  const pod = mesh.extraPod();
  const server = await opensslServer(pod, 8080, mesh.credentials(pod, defect));
  expect(await mesh.a.agent.attempt(pod.address4, 8080)).toBe("ECONNRESET");
  await mesh.proxies[0]?.says(says);
  await server.end();
});

test("without a SPIFFE ID of its own the proxy requires the trust domain as an option", async () => {
  const pod = mesh.extraPod();
  const paths = mesh.credentials(pod, { spiffeId: null });
  const flags = [...flagsOf(paths), "--verify", "spiffe"];
  const { code, stderr } = await pod.run([...executable(), ...flags]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("--trust-domain")]);
  await pod.proxy([...flags, "--trust-domain", "test.example"]);
});

test("--credentials reads the files of tls-tproxy certs, and a bundle in one file", async () => {
  const pod = mesh.extraPod();
  const out = `${temporaryDirectory()}/certs`;
  const make = ["certs", "--out", out, "--id", "spiffe://test.example/web", "--ip", pod.address4];
  expect((await pod.run([...executable(), ...make])).code).toBe(0);
  const proxy = await pod.proxy(["--credentials", `${out}/web`, "--verify", "spiffe"]);
  await proxy.says(
    /\/web\/tls\.crt \(--credentials\): spiffe:\/\/test\.example\/web, valid until 20/,
  );
  const other = mesh.extraPod();
  const paths = mesh.credentials(other);
  const directory = temporaryDirectory();
  const bundle = [paths.key, paths.certificate].map((path) => readFileSync(path, "utf8")).join("");
  writeFileSync(`${directory}/credential-bundle.pem`, bundle);
  writeFileSync(`${directory}/trust-bundle.pem`, readFileSync(paths.authority));
  await other.proxy(["--credentials", directory, "--verify", "spiffe"]);
  const { output } = await curl(other, `http://${mesh.b.address4}:8000/`);
  expect(output).toBe("hello from b");
});

test("--credentials without credentials names the files that it looks for", async () => {
  const pod = mesh.extraPod();
  const { code, stderr } = await pod.run([...executable(), "--credentials", "/proc/self"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("tls.crt + tls.key + ca.crt")]);
});
