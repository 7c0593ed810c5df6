/** Credentials that change under load: no connection fails, no byte is lost, and bad ones change nothing. */
import { renameSync, writeFileSync, readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor, writeUnusable, type CredentialPaths } from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { patternDigest } from "../support/pattern.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";

type Rotated = { readonly pod: Pod; readonly paths: CredentialPaths; readonly proxy: Running };

async function rotatable(pod: Pod): Promise<Rotated> {
  const paths = credentialsFor([pod.address4, pod.address6]);
  return { pod, paths, proxy: await pod.proxy(flagsOf(paths)) };
}

/** One file after the other, each by rename, as tools do that know no better. */
function rotate({ pod, paths }: Rotated): void {
  const fresh = credentialsFor([pod.address4, pod.address6]);
  for (const [from, to] of [
    [fresh.key, paths.key],
    [fresh.certificate, paths.certificate],
  ] as const) {
    writeFileSync(`${to}.new`, readFileSync(from), { mode: 0o600 });
    renameSync(`${to}.new`, to);
  }
}

const replaced = 'credential_reloads_total{result="replaced"}';
const kept = 'credential_reloads_total{result="kept"}';

test("20 rotations on both sides, under transfers and new connections: nothing fails", async () => {
  const mesh = Mesh.create();
  const sides = [await rotatable(mesh.a), await rotatable(mesh.b)];
  await serveHttp(mesh.b, 8000, "served");
  const { client, server } = await mesh.connection();
  const bytes = 400_000_000;
  const pumps = Promise.all([client.write(bytes), server.write(bytes)]);
  const rotation = { over: false };
  let served = 0;
  const asking = (async () => {
    while (!rotation.over) {
      const { code, output } = await curl(mesh.a, `http://${mesh.b.address4}:8000/`);
      expect([code, output]).toEqual([0, "served"]);
      served += 1;
    }
  })();
  for (let turn = 1; turn <= 20; turn += 1) {
    for (const side of sides) rotate(side);
    for (const { pod } of sides) await metricOnce(pod, replaced, (count) => count >= turn);
  }
  rotation.over = true;
  await asking;
  await pumps;
  await Promise.all([client.end(), server.end()]);
  const digest = patternDigest(bytes);
  expect((await server.finish()).sha256).toBe(digest);
  expect((await client.finish()).sha256).toBe(digest);
  expect(served).toBeGreaterThan(20);
}, 120_000);

test("a new certificate is what the next peer sees, and the expiry that is told", async () => {
  const mesh = Mesh.create();
  const side = await rotatable(mesh.b);
  const shown = async (): Promise<string> => {
    const { certificate, key } = mesh.credentials(mesh.c);
    const own = ["-cert", certificate, "-key", key];
    const connect = ["openssl", "s_client", "-connect", `${mesh.b.address4}:8000`, ...own];
    const { stdout } = await mesh.c.run(["timeout", "10", ...connect], "");
    return /-----BEGIN CERTIFICATE-----[^]*?-----END/.exec(stdout)?.[0] ?? "";
  };
  const before = await shown();
  rotate(side);
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  const after = await shown();
  expect([before, after]).not.toContain("");
  expect(after).not.toBe(before);
});

test.each([
  [
    "half a certificate",
    (paths: CredentialPaths) => writeFileSync(paths.certificate, "-----BEGIN CERT"),
    /--cert .*no PEM certificate/,
  ],
  [
    "another's key",
    (paths: CredentialPaths) =>
      writeFileSync(paths.key, readFileSync(credentialsFor(["10.0.0.9"]).key)),
    /--key .*not the key/,
  ],
  [
    "another authority",
    (paths: CredentialPaths) =>
      writeFileSync(
        paths.authority,
        readFileSync(credentialsFor(["10.0.0.9"], { foreign: true }).authority),
      ),
    /--cert .*does not lead/,
  ],
  ["a key that TLS does not use", writeUnusable, /--key .*the TLS library does not take them/],
] as const)(
  "%s changes nothing but a log line and a counter, and SIGHUP reads good ones at once",
  async (_, spoil, says) => {
    const mesh = Mesh.create();
    const side = await rotatable(mesh.b);
    await mesh.proxy(mesh.a);
    await serveHttp(mesh.b, 8000, "served");
    const good = [side.paths.certificate, side.paths.key, side.paths.authority].map(
      (path) => [path, readFileSync(path)] as const,
    );
    spoil(side.paths);
    await metricOnce(mesh.b, kept, (count) => count === 1);
    await side.proxy.says(/W\S+ .*credentials\] the old ones stay in use/);
    expect(side.proxy.output).toMatch(says);
    expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("served");
    for (const [path, text] of good) writeFileSync(path, text);
    rotate(side);
    side.proxy.child.kill("SIGHUP");
    await metricOnce(mesh.b, replaced, (count) => count === 1);
    expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("served");
    expect((await metrics(mesh.b)).get("process_open_fds")).toBeLessThan(40);
  },
);
