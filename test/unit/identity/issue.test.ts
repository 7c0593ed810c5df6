/** openssl, a library of others, accepts the certificates that we issue. */
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const directory = temporaryDirectory();
const root = issueAuthority("root");
const middle = issueAuthority("middle", root);

function openssl(...args: string[]): { code: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: directory });
  return { code: exitCode, text: stdout.toString() + stderr.toString() };
}

test("openssl strictly verifies a leaf below an intermediate for both purposes", () => {
  const leaf = issueLeaf(middle, {
    spiffeId: "spiffe://a.example/x",
    ips: ["10.0.0.1", "fd00::1"],
  });
  writeFileSync(`${directory}/root.pem`, root.certificatePem);
  writeFileSync(`${directory}/middle.pem`, middle.certificatePem);
  writeFileSync(`${directory}/leaf.pem`, leaf.certificatePem);
  const chain = ["-CAfile", "root.pem", "-untrusted", "middle.pem", "leaf.pem"];
  for (const purpose of ["sslserver", "sslclient"])
    expect(openssl("verify", "-x509_strict", "-purpose", purpose, ...chain)).toMatchObject({
      code: 0,
    });
  const { text } = openssl("x509", "-in", "leaf.pem", "-noout", "-text");
  expect(text).toContain(
    "URI:spiffe://a.example/x, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1",
  );
  expect(text).toContain("TLS Web Server Authentication, TLS Web Client Authentication");
  expect(text).toContain("CA:FALSE");
});

test("openssl reads a date after 2049", () => {
  const notAfter = new Date("2051-06-07T08:09:10Z");
  writeFileSync(
    `${directory}/late.pem`,
    issueLeaf(root, { commonName: "x", notAfter }).certificatePem,
  );
  const { text } = openssl("x509", "-in", "late.pem", "-noout", "-enddate");
  expect(text).toContain("notAfter=Jun  7 08:09:10 2051 GMT");
});
