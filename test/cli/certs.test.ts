/** `tls-tproxy certs`: openssl and the proxy accept what it makes. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { X509Certificate } from "node:crypto";
import { expect, test } from "bun:test";

import { loadCredentials } from "../../src/identity/source.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { tproxy, type Said } from "../support/tproxy.ts";

function certs(...args: readonly string[]): Said {
  return tproxy(["certs", ...args]);
}

const id = "spiffe://example.org/ns/default/sa/web";

test.each([
  ["EC", []],
  ["RSA", ["--rsa"]],
] as const)(
  "%s: openssl verifies the chain, the proxy accepts the files, and keys have mode 0600",
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
    expect(made.out).toContain("for trials only");
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

test("a second call with another name uses the same CA", () => {
  const out = `${temporaryDirectory()}/certs`;
  certs("--out", out, "--dns", "a.example.org");
  const before = readFileSync(`${out}/ca.crt`, "utf8");
  expect(certs("--out", out, "--dns", "b.example.org").code).toBe(0);
  expect(readFileSync(`${out}/b.example.org/ca.crt`, "utf8")).toBe(before);
});

test.each([
  [[], "--id, --ip or --dns"],
  [["--id", "spiffe://Example.org/a"], "a SPIFFE ID like"],
  [["--ip", "10.0.0"], "an address like"],
  [["--dns", "a b"], "a host name like"],
  [["--days", "0", "--ip", "10.0.0.1"], "a number of days"],
  [["--name", "../x", "--ip", "10.0.0.1"], "It must be a name"],
  [["--name", "web"], "--id, --ip or --dns"],
] as const)("%j is refused, and the message says %s", (args, says) => {
  const out = `${temporaryDirectory()}/certs`;
  const { code, error } = certs("--out", out, ...args);
  expect(existsSync(out)).toBeFalse();
  expect([code, error]).toEqual([2, expect.stringContaining(says)]);
});

/** Names below `out` with the target of each link, and the first line of each file. */
const planted = [
  ["ca.key", "a link to a file"],
  ["ca.crt", "a link to a file"],
  ["ca.key", "a link to nothing"],
  ["ca.crt", "a link to nothing"],
  ["ca.key", "a folder"],
  ["ca.key", "a file alone"],
  ["ca.crt", "a file alone"],
  ["a.example.org", "a link to a folder"],
  ["a.example.org", "a link to nothing"],
  ["a.example.org", "a file alone"],
] as const;

test.each(planted)(
  "%s is %s: nothing is followed or overwritten, and one line says so",
  (name, kind) => {
    const [out, elsewhere] = [`${temporaryDirectory()}/certs`, temporaryDirectory()];
    mkdirSync(out, { mode: 0o700 });
    const [target, path] = [`${elsewhere}/target`, `${out}/${name}`];
    if (kind === "a folder") mkdirSync(path);
    else if (kind === "a file alone") writeFileSync(path, "precious");
    else symlinkSync(target, path);
    if (kind === "a link to a file") writeFileSync(target, "precious");
    if (kind === "a link to a folder") mkdirSync(target);
    const { code, error } = certs("--out", out, "--dns", "a.example.org");
    expect([code, error.split("\n").length]).toEqual([1, 2]);
    expect(error).toStartWith(`tls-tproxy: certs: ${out}/`);
    if (kind === "a link to a file") expect(readFileSync(target, "utf8")).toBe("precious");
    else if (kind === "a link to a folder") expect(readdirSync(target)).toEqual([]);
    else expect(existsSync(target)).toBeFalse();
    if (kind === "a file alone") expect(readFileSync(path, "utf8")).toBe("precious");
    expect(readdirSync(out).filter((one) => one.startsWith(".new-"))).toEqual([]);
  },
);

test("folders are accessible by their owner only, and a folder that others can write to is refused", () => {
  const [out, open] = [`${temporaryDirectory()}/a/certs`, `${temporaryDirectory()}/open`];
  expect(certs("--out", out, "--dns", "a.example.org").code).toBe(0);
  for (const folder of [out, `${out}/a.example.org`, `${out}/..`])
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  mkdirSync(open);
  chmodSync(open, 0o1777);
  const { code, error } = certs("--out", open, "--dns", "a.example.org");
  expect([code, error]).toEqual([
    1,
    expect.stringMatching(/^\S+: certs: \S+: other users may write there.*\n$/),
  ]);
});

test.each([
  ["/proc/none", /^tls-tproxy: certs: \/proc\/none: .*\n$/],
  ["/dev/null", /^tls-tproxy: certs: \/dev\/null: .*\n$/],
  ["/dev/null/certs", /^tls-tproxy: certs: \/dev\/null\/certs: .*\n$/],
  [
    `/tmp/${"x".repeat(300)}`,
    /^tls-tproxy: certs: \S+: its name is too long: use another --out\n$/,
  ],
])("one line reports that nothing can be created: %s", (out, says) => {
  const { code, error } = certs("--out", out, "--dns", "a.example.org");
  expect([code, error]).toEqual([1, expect.stringMatching(says)]);
});

test("a name too long for a folder also gives one line", () => {
  const long = `spiffe://example.org/${"x".repeat(300)}`;
  const { code, error } = certs("--out", `${temporaryDirectory()}/certs`, "--id", long);
  expect([code, error]).toEqual([
    1,
    expect.stringMatching(/^tls-tproxy: certs: \S+: its name is too long: use a shorter --name\n$/),
  ]);
});
