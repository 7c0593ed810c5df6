/** `tls-tproxy certs`, when it ends at any moment or others change its folders: there is always a pair that fits. */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { expect, test } from "bun:test";

import { issueAuthority, issueLeaf, type Issued } from "../../src/identity/issue.ts";
import { isPair } from "../../src/identity/trial.ts";
import { loadCredentials } from "../../src/identity/source.ts";
import { executable } from "../support/pods.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const script = `${import.meta.dir}/../support/interrupted-certs.ts`;
const dns = "web.example.org";

type Ended = { readonly code: number | null; readonly out: string; readonly error: string };

function run(command: readonly string[]): Ended {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command]);
  return { code: exitCode, out: stdout.toString(), error: stderr.toString() };
}

function certs(out: string, ...args: readonly string[]): Ended {
  const name = args.includes("--name") ? [] : ["--name", "web"];
  return run([...executable(), "certs", "--out", out, ...name, ...args]);
}

/** Kills a call before its change with this number; false if it has fewer. */
function killedAt(change: number, out: string): boolean {
  const { signalCode, exitCode, stderr } = Bun.spawnSync([
    "bun",
    script,
    String(change),
    "kill",
    out,
    "web",
  ]);
  if (signalCode === "SIGKILL") return true;
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return false;
}

/** A CA, a certificate for `web`, and files that are not from `certs`. */
function made(): string {
  const out = `${temporaryDirectory()}/certs`;
  expect(certs(out, "--dns", dns).error).toBe("");
  writeFileSync(`${out}/web/notes.txt`, "precious");
  return out;
}

function pairIn(folder: string, name = "tls"): Issued {
  return {
    certificatePem: readFileSync(`${folder}/${name}.crt`, "utf8"),
    keyPem: readFileSync(`${folder}/${name}.key`, "utf8"),
  };
}

/** The pair fits and leads to the CA, and nothing else is left in either folder. */
function expectWhole(out: string, more: readonly string[] = []): void {
  const folder = `${out}/web`;
  expect(isPair(pairIn(out, "ca"))).toBeTrue();
  const [certificate, key, trustBundle] = ["crt", "key"]
    .map((end) => `${folder}/tls.${end}`)
    .concat(`${folder}/ca.crt`);
  expect(() =>
    loadCredentials(
      { certificate: `${certificate}`, key: `${key}`, trustBundle: `${trustBundle}` },
      Date.now(),
    ),
  ).not.toThrow();
  expect(readdirSync(out).toSorted()).toEqual(["ca.crt", "ca.key", "web"]);
  expect(readdirSync(folder).toSorted()).toEqual(
    ["ca.crt", ...more, "tls.crt", "tls.key"].toSorted(),
  );
}

test("a first call that is killed before any of its changes is completed by the next one", () => {
  let change = 1;
  for (; ; change += 1) {
    const out = `${temporaryDirectory()}/certs`;
    const killed = killedAt(change, out);
    expect(certs(out, "--dns", dns).error).toBe("");
    expectWhole(out);
    if (!killed) break;
  }
  expect(change).toBeGreaterThan(10);
});

test("a renewal that is killed before any of its changes is completed or undone by the next one", () => {
  const first = made();
  const ca = readFileSync(`${first}/ca.key`, "utf8");
  let change = 1;
  for (; ; change += 1) {
    const out = `${temporaryDirectory()}/certs`;
    cpSync(first, out, { recursive: true });
    const killed = killedAt(change, out);
    expect(certs(out)).toMatchObject({ code: 0, error: "" });
    expectWhole(out, ["notes.txt"]);
    expect(readFileSync(`${out}/ca.key`, "utf8")).toBe(ca);
    expect(pairIn(`${out}/web`)).not.toEqual(pairIn(`${first}/web`));
    if (!killed) break;
  }
  expect(change).toBeGreaterThan(6);
});

test("a call that is killed while it repairs leaves what the one after it can repair", () => {
  const first = made();
  let killed = 0;
  for (const change of [4, 5, 6])
    for (const later of [1, 2, 3]) {
      const out = `${temporaryDirectory()}/certs`;
      cpSync(first, out, { recursive: true });
      expect(killedAt(change, out)).toBeTrue();
      killed += Number(killedAt(later, out));
      expect(certs(out).error).toBe("");
      expectWhole(out, ["notes.txt"]);
    }
  expect(killed).toBe(9);
});

test("a call for another name completes it too", () => {
  const first = made();
  for (const change of [5, 6, 7]) {
    const out = `${temporaryDirectory()}/certs`;
    cpSync(first, out, { recursive: true });
    expect(killedAt(change, out)).toBeTrue();
    mkdirSync(`${out}/not-ours/.new-aB3dE6`, { recursive: true });
    writeFileSync(`${out}/not-ours/.new-aB3dE6/precious`, "");
    chmodSync(`${out}/not-ours`, 0o777);
    expect(certs(out, "--name", "other", "--dns", "other.example.org").error).toBe("");
    expect(readdirSync(`${out}/not-ours`)).toEqual([".new-aB3dE6"]);
    for (const name of ["other", "not-ours"]) rmSync(`${out}/${name}`, { recursive: true });
    expectWhole(out, ["notes.txt"]);
  }
});

test("renewals at the same time leave one whole pair", async () => {
  const out = made();
  const command = [...executable(), "certs", "--out", out, "--name", "web"];
  const calls = Array.from({ length: 6 }, () =>
    Bun.spawn(command, { stdout: "ignore", stderr: "ignore" }),
  );
  const codes = await Promise.all(calls.map(async (call) => await call.exited));
  expect(codes).toContain(0);
  expectWhole(out, ["notes.txt"]);
});

test("what the first releases left between two renames is completed", () => {
  const out = made();
  const next = issueLeaf(caOf(out), { dnsNames: [dns] });
  mkdirSync(`${out}/web/.new-aB3dE6`, { mode: 0o700 });
  writeFileSync(`${out}/web/tls.key`, next.keyPem);
  writeFileSync(`${out}/web/.new-aB3dE6/tls.crt`, next.certificatePem);
  expect(certs(out).error).toBe("");
  expectWhole(out, ["notes.txt"]);
  mkdirSync(`${out}/.new-aB3dE6`, { mode: 0o700 });
  renameSync(`${out}/ca.crt`, `${out}/.new-aB3dE6/ca.crt`);
  expect(certs(out).error).toBe("");
  expectWhole(out, ["notes.txt"]);
});

test.each(["tls.crt", "tls.key", "tls.key tls.crt"])(
  "what the first releases left of a renewal that had changed nothing is removed: %s",
  (left) => {
    const out = made();
    const next = issueLeaf(caOf(out), { dnsNames: [dns] });
    mkdirSync(`${out}/web/.new-aB3dE6`, { mode: 0o700 });
    for (const name of left.split(" "))
      writeFileSync(
        `${out}/web/.new-aB3dE6/${name}`,
        name === "tls.key" ? next.keyPem : next.certificatePem,
      );
    expect(certs(out).error).toBe("");
    expectWhole(out, ["notes.txt"]);
  },
);

test("a temporary folder is removed only if the process that made it has ended, and with nothing but files in it", () => {
  const out = made();
  const start = readFileSync("/proc/self/stat", "latin1").split(") ")[1]?.split(" ")[19] ?? "";
  const [live, dead, other] = [
    `.new-${process.pid}.${start}-aaaaaa`,
    `.new-${process.pid}.${Number(start) + 1}-aaaaaa`,
    ".new-1.1-aaaaaa",
  ];
  for (const name of [live, dead, other]) mkdirSync(`${out}/web/${name}`, { mode: 0o700 });
  writeFileSync(`${out}/web/${dead}/tls.key`, "");
  mkdirSync(`${out}/web/${other}/precious`);
  expect(certs(out).error).toBe("");
  expectWhole(out, [live, other, "notes.txt"]);
});

test("files that are put in the place of an interrupted call's are not overwritten", () => {
  const out = `${temporaryDirectory()}/certs`;
  let change = 1;
  while (!existsSync(`${out}/.new-files`)) {
    rmSync(out, { recursive: true, force: true });
    expect(killedAt(change, out)).toBeTrue();
    change += 1;
  }
  writeFileSync(`${out}/ca.key`, "precious");
  const { code, error } = certs(out, "--dns", dns);
  expect([code, error]).toEqual([
    1,
    expect.stringMatching(
      /ca\.key already exists, and \.new-files\/ca\.key .*: remove one of them/,
    ),
  ]);
  expect(readFileSync(`${out}/ca.key`, "utf8")).toBe("precious");
});

test("a link in the place of the certificate's folder is refused, and what it leads to stays as it is", () => {
  const [out, elsewhere] = [made(), temporaryDirectory()];
  renameSync(`${out}/web`, `${elsewhere}/web`);
  symlinkSync(`${elsewhere}/web`, `${out}/web`);
  const before = pairIn(`${elsewhere}/web`);
  const { code, error } = certs(out);
  expect([code, error]).toEqual([
    1,
    `tls-tproxy: certs: ${out}/web: it is a symbolic link: remove it, or use another --name\n`,
  ]);
  expect(pairIn(`${elsewhere}/web`)).toEqual(before);
});

test("a link that takes the place of the folder during a renewal is not followed", () => {
  const first = made();
  for (const change of [1, 2, 4, 5, 7]) {
    const [out, elsewhere] = [`${temporaryDirectory()}/certs`, `${temporaryDirectory()}/web`];
    cpSync(first, out, { recursive: true });
    cpSync(`${first}/web`, elsewhere, { recursive: true });
    expect(run(["bun", script, String(change), "swap", out, "web", elsewhere]).error).toBe("");
    expect(pairIn(elsewhere)).toEqual(pairIn(`${first}/web`));
    expect(readdirSync(elsewhere).toSorted()).toEqual(readdirSync(`${first}/web`).toSorted());
    expect(isPair(pairIn(`${out}/moved`))).toBeTrue();
    expect(pairIn(`${out}/moved`)).not.toEqual(pairIn(elsewhere));
  }
});

test.each(["777", "1777", "770", "720", "702"])(
  "a folder with mode %s, which others may write to, is refused before anything is changed",
  (mode) => {
    const out = made();
    for (const [folder, flag] of [
      [`${out}/web`, "--name"],
      [out, "--out"],
    ] as const) {
      const before = pairIn(`${out}/web`);
      chmodSync(folder, Number.parseInt(mode, 8));
      const { code, error } = certs(out);
      const says = new RegExp(
        `: certs: ${folder}: other users may write there: use another ${flag}, or run chmod go-w`,
      );
      expect([code, error]).toEqual([1, expect.stringMatching(says)]);
      expect(pairIn(`${out}/web`)).toEqual(before);
      chmodSync(folder, 0o700);
    }
  },
);

test.each([".new-files", ".new-contents"])(
  "a link named %s, like the folder of a finished call, is not followed",
  (name) => {
    const [out, elsewhere] = [made(), temporaryDirectory()];
    writeFileSync(`${elsewhere}/tls.crt`, "another");
    symlinkSync(elsewhere, `${out}/web/${name}`);
    const { code, error } = certs(out);
    expect([code, error]).toEqual([
      1,
      expect.stringMatching(/web: \S+ is a symbolic link: .*--name/),
    ]);
    expect(readdirSync(elsewhere)).toEqual(["tls.crt"]);
  },
);

test("links in the place of the CA's files are not followed", () => {
  const [out, elsewhere] = [made(), temporaryDirectory()];
  for (const name of ["ca.crt", "ca.key"]) {
    renameSync(`${out}/${name}`, `${elsewhere}/${name}`);
    symlinkSync(`${elsewhere}/${name}`, `${out}/${name}`);
  }
  const { code, error } = certs(out);
  expect([code, error]).toEqual([
    1,
    expect.stringMatching(
      /ca\.crt: it is a symbolic link, it must be a regular file: use another --out\n$/,
    ),
  ]);
});

test("an ordinary user can make and renew a certificate", () => {
  const parent = temporaryDirectory();
  chownSync(parent, 65_534, 65_534);
  const as = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
  const out = `${parent}/certs`;
  const command = [...as, ...executable(), "certs", "--out", out, "--name", "web", "--dns", dns];
  for (const said of ["web, new", "web, renewed"])
    expect(run(command)).toMatchObject({
      code: 0,
      error: "",
      out: expect.stringContaining(said) as string,
    });
  expectWhole(out);
});

/** The CA's own object, to issue what the first releases left. */
function caOf(out: string): ReturnType<typeof issueAuthority> {
  const ca = issueAuthority("trial CA, not for production");
  const leaf = issueLeaf(ca, { dnsNames: [dns] });
  for (const [path, { certificatePem, keyPem }] of [
    [`${out}/ca`, ca],
    [`${out}/web/tls`, leaf],
  ] as const) {
    writeFileSync(`${path}.crt`, certificatePem);
    writeFileSync(`${path}.key`, keyPem);
  }
  writeFileSync(`${out}/web/ca.crt`, ca.certificatePem);
  return ca;
}
