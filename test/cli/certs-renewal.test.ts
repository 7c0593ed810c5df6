/** `tls-tproxy certs` run again: it renews only the files that it made itself. */
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { expect, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../src/identity/issue.ts";
import { loadCredentials } from "../../src/identity/source.ts";
import { executable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

type Made = { readonly code: number; readonly out: string; readonly error: string };

const id = "spiffe://example.org/ns/default/sa/web";
const dayMs = 86_400_000;
/** Of the CAs that the first releases made: bytes in users' files, so it is not derived from anything here. */
const oldSubject = "trial authority, not for production";

function certs(out: string, ...args: readonly string[]): Made {
  return run([...executable(), "certs", "--out", out, ...args]);
}

function run(command: readonly string[]): Made {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command]);
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}

/** A folder with a CA and a certificate for `web`, as the first call makes it. */
function made(...args: readonly string[]): string {
  const out = `${temporaryDirectory()}/certs`;
  const first = certs(out, "--name", "web", "--id", id, "--ip", "10.8.0.2,fd00::2", ...args);
  expect([first.code, first.error]).toEqual([0, ""]);
  return out;
}

function leaf(out: string, name = "web"): X509Certificate {
  return new X509Certificate(readFileSync(`${out}/${name}/tls.crt`));
}

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    files
      .filter((file) => file.isFile())
      .map(({ parentPath, name }) => [
        `${parentPath}/${name}`,
        readFileSync(`${parentPath}/${name}`, "utf8"),
      ]),
  );
}

/** The command prints one line with the usual prefix and the remedy, and changes no file. */
function expectRefusal(out: string, args: readonly string[], says: RegExp): void {
  const before = contents(out);
  const { code, out: said, error } = certs(out, ...args);
  expect([code, said, error]).toEqual([1, "", expect.stringMatching(says)]);
  expect(error).toMatch(/^tls-tproxy: certs: .+\n$/);
  expect(contents(out)).toEqual(before);
}

test("the first call says in three lines what it made and what to do next", () => {
  const out = `${temporaryDirectory()}/certs`;
  expect(certs(out, "--name", "web", "--id", id, "--dns", "web.example.org").out).toMatch(
    new RegExp(
      `^CA +${out}/ca.crt, new, valid until \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC\\n` +
        `Certificate +${out}/web, new, for ${id}, web.example.org, valid until [-\\d]+ [:\\d]+ UTC\\n` +
        `Next +tls-tproxy check --credentials ${out}/web +\\(for trials only: .*ca\\.key.*\\)\\n$`,
    ),
  );
});

test("the command that it suggests works", () => {
  const out = made();
  const shown = /check --credentials (\S+)/.exec(certs(out, "--name", "web").out)?.[1] ?? "";
  expect(
    run([...executable(), "check", "--credentials", shown, "--mesh-cidr", "none"]).out,
  ).toMatch(/✓ files: they are readable, the key fits/);
});

test("a folder with a space is quoted in the suggested command", () => {
  const out = `${temporaryDirectory()}/a b`;
  expect(certs(out, "--dns", "a.example.org").out).toContain(
    `--credentials '${out}/a.example.org' `,
  );
});

test.each([
  ["with its present names", ["--name", "web"]],
  ["when the names are given again", ["--id", id, "--ip", "10.8.0.2,fd00::2"]],
] as const)("a call for the same folder renews the certificate %s", (_how, args) => {
  const out = made("--days", "2");
  const [before, files] = [leaf(out), contents(out)];
  const { code, out: said, error } = certs(out, ...args);
  expect([code, error]).toEqual([0, ""]);
  expect(said.split("\n").length).toBe(4);
  expect(said).toMatch(/^CA +\S+ca\.crt, unchanged, valid until /);
  expect(said).toMatch(
    /\nCertificate +\S+web, renewed, for spiffe:\S+, 10\.8\.0\.2, fd00::2, valid until .* UTC \(before: .* UTC\)\n/,
  );
  const after = leaf(out);
  expect(after.subjectAltName).toBe(before.subjectAltName ?? "");
  expect(after.serialNumber).not.toBe(before.serialNumber);
  expect(Math.round((Date.parse(after.validTo) - Date.now()) / dayMs)).toBe(7);
  const changed = Object.entries(contents(out)).filter(([path, text]) => files[path] !== text);
  expect(changed.map(([path]) => path).toSorted()).toEqual([
    `${out}/web/tls.crt`,
    `${out}/web/tls.key`,
  ]);
  const [certificate, key, trustBundle] = ["tls.crt", "tls.key", "ca.crt"].map(
    (name) => `${out}/web/${name}`,
  );
  expect(() =>
    loadCredentials(
      { certificate: `${certificate}`, key: `${key}`, trustBundle: `${trustBundle}` },
      Date.now(),
    ),
  ).not.toThrow();
});

test("an expired certificate is renewed", () => {
  const out = made();
  const ca = caOf(out);
  const past = {
    notBefore: new Date(Date.now() - 2 * dayMs),
    notAfter: new Date(Date.now() - dayMs),
  };
  const expired = issueLeaf(ca, { spiffeId: id, ...past });
  writeFileSync(`${out}/web/tls.crt`, expired.certificatePem);
  writeFileSync(`${out}/web/tls.key`, expired.keyPem);
  expect(certs(out, "--name", "web")).toMatchObject({ code: 0, error: "" });
  expect(Date.parse(leaf(out).validTo)).toBeGreaterThan(Date.now());
});

test("new names replace the old ones, and the output names the old ones", () => {
  const out = made();
  const { out: said } = certs(out, "--name", "web", "--dns", "web.example.org");
  expect(said).toContain("renewed, for web.example.org, valid until");
  expect(said).toMatch(/\(before: spiffe:\S+, 10\.8\.0\.2, fd00::2, until .*\)/);
  expect(leaf(out).subjectAltName).toBe("DNS:web.example.org");
});

test("a renewal keeps the key type, owners and modes, but gives the key to its owner only", () => {
  const out = made("--rsa");
  for (const file of ["tls.crt", "tls.key"]) chmodSync(`${out}/web/${file}`, 0o640);
  chownSync(`${out}/web/tls.key`, 1234, 5678);
  expect(certs(out, "--name", "web").out).toContain("tls.key is now readable by its owner only");
  expect(leaf(out).publicKey.asymmetricKeyType).toBe("rsa");
  const { mode, uid, gid } = statSync(`${out}/web/tls.key`);
  expect([mode & 0o7777, uid, gid]).toEqual([0o600, 1234, 5678]);
  expect(statSync(`${out}/web/tls.crt`).mode & 0o777).toBe(0o640);
  expect(certs(out, "--name", "web").out).not.toContain("owner only");
  expect(readdirSync(`${out}/web`).toSorted()).toEqual(["ca.crt", "tls.crt", "tls.key"]);
});

test("a bundle with a second CA, and files with other names, stay as they are", () => {
  const out = made();
  const bundle = `${readFileSync(`${out}/web/ca.crt`, "utf8")}${issueAuthority("new").certificatePem}`;
  writeFileSync(`${out}/web/ca.crt`, bundle);
  writeFileSync(`${out}/web/notes.txt`, "precious");
  expect(certs(out, "--name", "web").code).toBe(0);
  expect(readFileSync(`${out}/web/ca.crt`, "utf8")).toBe(bundle);
  expect(readFileSync(`${out}/web/notes.txt`, "utf8")).toBe("precious");
});

test("a certificate never outlives its CA, and the output says so", () => {
  const out = made();
  expect(certs(out, "--name", "web", "--days", "3000").out).toContain("UTC, when its CA expires");
  expect(leaf(out).validTo).toBe(new X509Certificate(readFileSync(`${out}/ca.crt`)).validTo);
});

test("a CA made by the previous release, under its old name, is still recognised", () => {
  const out = made();
  expect(ours()).not.toBe(oldSubject);
  const old = issueAuthority(oldSubject);
  place(out, "ca", old);
  place(`${out}/web`, "tls", issueLeaf(old, { spiffeId: id }));
  expect(certs(out, "--name", "web")).toMatchObject({ code: 0, error: "" });
});

test.each([
  [
    "another program's CA",
    "other CA",
    /ca\.crt: CN=other CA was not made by tls-tproxy certs: .*certificate-recipes/,
  ],
  [
    "a CA that has expired",
    ours(),
    /ca\.crt: it expired on .*: use another --out for a new CA.*peer/,
  ],
] as const)("%s issues nothing", (_what, name, says) => {
  const out = made();
  const ended = name === ours() ? new Date(Date.now() - 60_000) : undefined;
  const ca = issueAuthority(name, undefined, ended);
  place(out, "ca", ca);
  place(`${out}/web`, "tls", issueLeaf(ca, { spiffeId: id }));
  expectRefusal(out, ["--name", "web"], says);
  expectRefusal(out, ["--name", "new", "--dns", "new.example.org"], says);
});

test("an RSA CA and a certificate that is not a CA are refused, whatever their names", () => {
  const out = made();
  const [crt, key] = [`${out}/ca.crt`, `${out}/ca.key`];
  const made2 = "req -x509 -newkey rsa:2048 -nodes -days 9 -keyout KEY -out CRT -subj";
  const command = made2.split(" ").map((word) => word.replace("KEY", key).replace("CRT", crt));
  expect(run(["openssl", ...command, `/CN=${ours()}`]).code).toBe(0);
  expectRefusal(out, ["--dns", "b.example.org"], /was not made by tls-tproxy certs/);
  place(out, "ca", issueLeaf(issueAuthority("x"), { commonName: ours() }));
  expectRefusal(out, ["--dns", "b.example.org"], /was not made by tls-tproxy certs/);
});

test("the key of another CA, and files that hold no certificate or key, are refused", () => {
  const out = made();
  const [crt, key] = [`${out}/ca.crt`, `${out}/ca.key`];
  const [whole, wholeKey] = [readFileSync(crt, "utf8"), readFileSync(key, "utf8")];
  writeFileSync(key, issueAuthority(ours()).keyPem);
  expectRefusal(
    out,
    ["--name", "web"],
    /ca\.key: it is not the key of the certificate beside it: .*--out/,
  );
  for (const [file, text] of [
    [crt, "nonsense"],
    [crt, ""],
    [key, "nonsense"],
    [key, whole],
    [key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"],
  ] as const) {
    writeFileSync(crt, whole);
    writeFileSync(key, wholeKey);
    writeFileSync(file, text);
    expectRefusal(out, ["--name", "web"], new RegExp(`${file}: it is not .*: .*--out`));
  }
});

test("a folder whose CA is missing, wholly or in part, is refused", () => {
  const out = made();
  renameSync(`${out}/ca.key`, `${out}/elsewhere`);
  expectRefusal(out, ["--name", "web"], /ca\.key is missing beside ca\.crt: .*--out/);
  renameSync(`${out}/ca.crt`, `${out}/elsewhere.crt`);
  expectRefusal(
    out,
    ["--name", "web"],
    /web is there, but \S+ca\.crt and ca\.key, .* are not: .*--name/,
  );
  renameSync(`${out}/elsewhere`, `${out}/ca.key`);
  expectRefusal(out, ["--name", "web"], /ca\.crt is missing beside ca\.key: .*--out/);
});

test("--out with the folder of a certificate is refused, and the message names the folder above it", () => {
  const out = made();
  expectRefusal(`${out}/web`, ["--name", "x", "--id", id], new RegExp(`--out ${out}[.\n ]`));
});

test("a certificate issued by another CA, or one with a key that does not match, is not overwritten", () => {
  const out = made();
  const [ca, other] = [caOf(out), issueAuthority(ours())];
  place(`${out}/web`, "tls", issueLeaf(other, { spiffeId: id }));
  expectRefusal(out, ["--name", "web"], /web\/tls\.crt: .* did not issue it: .*--name/);
  place(`${out}/web`, "tls", issueLeaf(ca, { spiffeId: id }));
  writeFileSync(`${out}/web/tls.key`, issueLeaf(ca, { spiffeId: id }).keyPem);
  expectRefusal(out, ["--name", "web"], /web\/tls\.key: .* is not the key .*: .*--name/);
  writeFileSync(`${out}/web/tls.key`, "precious");
  expectRefusal(out, ["--name", "web"], /web\/tls\.key: .*--name/);
});

test.each(["tls.crt", "tls.key", "ca.crt"])(
  "a folder in which %s is missing, a folder or a link is refused",
  (file) => {
    const out = made();
    const path = `${out}/web/${file}`;
    const before = readFileSync(path);
    rmSync(path);
    const says = new RegExp(`web: ${file.replace(".", "\\.")} is .*: .*--name`);
    expectRefusal(out, ["--name", "web"], says);
    mkdirSync(path);
    expectRefusal(out, ["--name", "web"], says);
    rmSync(path, { recursive: true });
    writeFileSync(`${out}/precious`, before);
    symlinkSync(`${out}/precious`, path);
    expectRefusal(out, ["--name", "web"], says);
  },
);

test("for an ordinary user the error names the owner of the files, or says that the folder is not writable", () => {
  const out = made();
  const as = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
  const program = [...as, ...executable(), "certs", "--out"];
  const hidden = run([...program, out, "--name", "web"]);
  expect([hidden.code, hidden.error]).toEqual([
    1,
    expect.stringMatching(
      /^tls-tproxy: certs: \S+: this user may not .*: run it as the owner.*--out\n$/,
    ),
  ]);
  const open = `${temporaryDirectory()}/certs`;
  mkdirSync(open, { recursive: true });
  for (const one of [open, `${open}/..`]) chmodSync(one, 0o755);
  place(open, "ca", issueAuthority(ours()));
  chmodSync(`${open}/ca.key`, 0o600);
  const unreadable = run([...program, open, "--dns", "a.example.org"]);
  expect([unreadable.code, unreadable.error]).toEqual([
    1,
    expect.stringMatching(
      /^tls-tproxy: certs: \S+ca\.key: it may not be read .*: run it as the owner.*--out\n$/,
    ),
  ]);
  chmodSync(`${open}/ca.key`, 0o644);
  const unwritable = run([...program, open, "--dns", "a.example.org"]);
  expect([unwritable.code, unwritable.error]).toEqual([
    1,
    expect.stringMatching(
      /^tls-tproxy: certs: \S+: this user may not .*: run it as the owner.*--out\n$/,
    ),
  ]);
  expect(existsSync(`${open}/a.example.org`)).toBeFalse();
});

test("a read-only file system gives one line with the remedy", () => {
  const out = made();
  const inside = `mount --bind ${out} ${out} && mount -o remount,bind,ro ${out} && exec "$@"`;
  const { code, error } = run([
    ..."unshare --mount sh -c".split(" "),
    inside,
    "sh",
    ...executable(),
    ..."certs --name web --out".split(" "),
    out,
  ]);
  expect([code, error]).toEqual([
    1,
    expect.stringMatching(
      /^tls-tproxy: certs: \S+: the file system is read-only: use another --out\n$/,
    ),
  ]);
});

function ours(): string {
  return "trial CA, not for production";
}

function caOf(out: string): ReturnType<typeof issueAuthority> {
  const ca = issueAuthority(ours());
  place(out, "ca", ca);
  return ca;
}

function place(
  folder: string,
  name: string,
  pair: { readonly certificatePem: string; readonly keyPem: string },
): void {
  writeFileSync(`${folder}/${name}.crt`, pair.certificatePem);
  writeFileSync(`${folder}/${name}.key`, pair.keyPem);
}
