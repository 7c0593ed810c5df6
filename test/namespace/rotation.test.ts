/** Credentials change under load: no connection fails, no byte is lost, and invalid files change nothing. */
import { writeFileSync, readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor, writeUnusable, type CredentialPaths } from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";
import { rotatable, rotate, rotateUnderLoad } from "../support/rotation.ts";
import { metricOnce, metrics } from "../support/status.ts";

const replaced = 'tproxy_credential_reloads_total{result="replaced"}';
const kept = 'tproxy_credential_reloads_total{result="kept"}';

test("20 rotations on both sides, with transfers and new connections at full rate: nothing fails", async () => {
  const { connections, failed, intact, useMs } = await rotateUnderLoad(20, 400_000_000);
  expect([failed, intact, useMs.length]).toEqual([0, true, 40]);
  expect(connections).toBeGreaterThanOrEqual(500); // A batch always runs to its end.
});

test("the next peer sees a new certificate, and the metric has its expiry", async () => {
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
    "the key of another certificate",
    (paths: CredentialPaths) =>
      writeFileSync(paths.key, readFileSync(credentialsFor(["10.0.0.9"]).key)),
    /--key .*not the key/,
  ],
  [
    "another CA",
    (paths: CredentialPaths) =>
      writeFileSync(
        paths.authority,
        readFileSync(credentialsFor(["10.0.0.9"], { foreign: true }).authority),
      ),
    /--cert .*does not lead/,
  ],
  ["a key that TLS does not use", writeUnusable, /--key .*the TLS library does not take them/],
] as const)(
  "%s changes nothing but a log line and a counter, and SIGHUP loads valid files at once",
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
