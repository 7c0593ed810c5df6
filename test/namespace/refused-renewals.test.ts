/**
 * A renewed certificate that peers would refuse is not used, is reported with the reason, and is checked again until
 * it is valid.
 */
import { copyFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { credentialsFor, type CredentialPaths, type Defect } from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { rotatable } from "../support/rotation.ts";
import { metricOnce } from "../support/status.ts";

const refused = "tproxy_credential_renewal_refused";
const replaced = 'tproxy_credential_reloads_total{result="replaced"}';

function put(made: CredentialPaths, to: CredentialPaths): void {
  copyFileSync(made.key, to.key);
  copyFileSync(made.certificate, to.certificate);
}

test.each([
  [
    "for servers only",
    { usages: ["serverAuth"] },
    /as a client's: our certificate \(.*\) is for servers only/,
  ],
  [
    "for clients only",
    { usages: ["clientAuth"] },
    /as a server's: our certificate \(.*\) is for clients only/,
  ],
  ["a CA's", { isAuthority: true }, /our certificate \(.*\) is a CA certificate/],
  ["that is not valid yet", { early: true }, /it is not valid before/],
  ["that has expired", { expired: true }, /it has expired at/],
] as const satisfies readonly (readonly [string, Defect, RegExp])[])(
  "a renewal %s leaves the old certificate in use, and check refuses it too",
  async (_, defect, says) => {
    const mesh = Mesh.create();
    const side = await rotatable(mesh.b);
    await mesh.proxy(mesh.a);
    await serveHttp(mesh.b, 8000, "served");
    const bad = credentialsFor([mesh.b.address4], defect);
    put(bad, side.paths);
    await side.proxy.says(
      /W\S+ .*credentials\] the old ones stay in use: --cert .*[.?] They are valid for \d+ \w+( \d+ \w+)? more/,
    );
    expect(side.proxy.output).toMatch(says);
    await metricOnce(mesh.b, refused, (value) => value === 1);
    expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).output).toBe("served");
    const check = await mesh.b.run([...executable(), "check", ...flagsOf(bad)]);
    expect(check.stdout).toMatch(says);
    expect(check.code).toBe(1);
    put(credentialsFor([mesh.b.address4]), side.paths);
    await metricOnce(mesh.b, replaced, (count) => count === 1);
    await metricOnce(mesh.b, refused, (value) => value === 0);
  },
);

test("a renewal that becomes valid in some seconds is used then, without another change to the files", async () => {
  const mesh = Mesh.create();
  const side = await rotatable(mesh.b);
  put(credentialsFor([mesh.b.address4], { beginsInMs: 4000 }), side.paths);
  await side.proxy.says(/credentials\] the old ones stay in use.*it is not valid before/);
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  await metricOnce(mesh.b, refused, (value) => value === 0);
});
