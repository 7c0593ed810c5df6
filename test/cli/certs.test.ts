/** `tproxy certs`: what it makes is taken by openssl and by the proxy itself. */
import { readFileSync, statSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";

import { loadCredentials } from "../../src/identity/source.ts";
import { executable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

type Made = { readonly code: number; readonly out: string; readonly error: string };

function certs(...args: readonly string[]): Made {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...executable(), "certs", ...args]);
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}

const id = "spiffe://example.org/ns/default/sa/web";

test.each([
  ["EC", []],
  ["RSA", ["--rsa"]],
] as const)(
  "%s: openssl verifies the chain, the proxy takes the files, keys are 0600",
  (kind, options) => {
    const out = `${temporaryDirectory()}/certs`;
    const made = certs(
      "--out",
      out,
      "--id",
      id,
      "--ip",
      "10.0.0.1,fd00::1",
      "--days",
      "3",
      ...options,
    );
    expect(made.error).toBe("");
    expect(made.out).toContain("For trials only");
    const directory = `${out}/web`;
    const verify = ["openssl", "verify", "-CAfile", `${directory}/ca.crt`, `${directory}/tls.crt`];
    expect(Bun.spawnSync(verify).stdout.toString()).toEndWith("tls.crt: OK\n");
    const files = {
      certificate: `${directory}/tls.crt`,
      key: `${directory}/tls.key`,
      trustBundle: `${directory}/ca.crt`,
    };
    const { notAfter } = loadCredentials(files, Date.now());
    expect(Math.round((notAfter - Date.now()) / 86_400_000)).toBe(3);
    const certificate = new X509Certificate(readFileSync(files.certificate));
    expect(certificate.publicKey.asymmetricKeyType).toBe(kind === "EC" ? "ec" : "rsa");
    expect(certificate.subjectAltName).toBe(
      `URI:${id}, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1`,
    );
    for (const key of [files.key, `${out}/ca.key`]) expect(statSync(key).mode & 0o777).toBe(0o600);
  },
);

test("a second call has the same authority, and overwrites nothing", () => {
  const out = `${temporaryDirectory()}/certs`;
  certs("--out", out, "--dns", "a.example.org");
  const before = readFileSync(`${out}/ca.crt`, "utf8");
  expect(certs("--out", out, "--dns", "b.example.org").code).toBe(0);
  expect(readFileSync(`${out}/b.example.org/ca.crt`, "utf8")).toBe(before);
  const again = certs("--out", out, "--dns", "b.example.org");
  expect([again.code, again.error]).toEqual([1, expect.stringContaining("is there already")]);
});

test.each([
  [[], "--id, --ip or --dns"],
  [["--id", "spiffe://Example.org/a"], "a SPIFFE ID like"],
  [["--ip", "10.0.0"], "an address like"],
  [["--dns", "a b"], "a host name like"],
  [["--days", "0", "--ip", "10.0.0.1"], "a number of days"],
  [["--name", "../x", "--ip", "10.0.0.1"], "It must be a name"],
] as const)("%j is a mistake that is told: %s", (args, says) => {
  const { code, error } = certs("--out", `${temporaryDirectory()}/certs`, ...args);
  expect([code, error]).toEqual([2, expect.stringContaining(says)]);
});
