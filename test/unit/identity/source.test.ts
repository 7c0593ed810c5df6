import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { loadCredentials } from "../../../src/identity/source.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const directory = temporaryDirectory();
const authority = issueAuthority("an authority");
const leaf = issueLeaf(authority, { ips: ["10.0.0.1"] });
const now = Date.now();

function file(name: string, text: string): string {
  writeFileSync(`${directory}/${name}`, text);
  return `${directory}/${name}`;
}

function load(change: { cert?: string; key?: string; ca?: string; at?: number }): unknown {
  const files = {
    certificate: file("cert.pem", change.cert ?? leaf.certificatePem),
    key: file("key.pem", change.key ?? leaf.keyPem),
    trustBundle: file("ca.pem", change.ca ?? authority.certificatePem),
  };
  return loadCredentials(files, change.at ?? now);
}

test("valid credentials are loaded", () => {
  expect(load({})).toMatchObject({ certificatePem: leaf.certificatePem.trim() });
});

test("keys are read as PKCS#8 and as SEC1", () => {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sec1 = pair.privateKey.export({ type: "sec1", format: "pem" });
  expect(() => load({ key: sec1 })).toThrow("not the key of the certificate");
});

test("a chain through an intermediate is verified up to the root", () => {
  const middle = issueAuthority("middle", authority);
  const below = issueLeaf(middle, { ips: ["10.0.0.1"] });
  const cert = below.certificatePem + middle.certificatePem;
  expect(load({ cert, key: below.keyPem })).toBeDefined();
  expect(() => load({ cert: below.certificatePem, key: below.keyPem })).toThrow("does not lead");
});

test("a bundle with only an intermediate is refused, because the TLS library would refuse every peer", () => {
  const middle = issueAuthority("middle", authority);
  const below = issueLeaf(middle, { ips: ["10.0.0.1"] });
  const cert = below.certificatePem + middle.certificatePem;
  const ca = middle.certificatePem;
  expect(() => load({ cert, key: below.keyPem, ca })).toThrow(
    "does not lead to a self-signed CA certificate",
  );
});

const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

test.each([
  ["an empty certificate", { cert: "" }, /^--cert .*: no PEM certificate in it$/],
  ["garbage for a certificate", { cert: garbage }, /^--cert .*: it holds no readable PEM/],
  [
    "garbage for a key",
    { key: "hunter2" },
    /^--key .*: it contains no private key in readable, unencrypted/,
  ],
  ["an empty bundle", { ca: "" }, /^--ca-cert .*: no PEM certificate/],
  ["one bad CA of two", { ca: authority.certificatePem + garbage }, /^--ca-cert .*: it holds/],
  ["another CA", { ca: issueAuthority("b").certificatePem }, /^--cert .*: it does not lead/],
  ["an expired certificate", { at: now + 30 * 86_400_000 }, /^--cert .*: it has expired at 20/],
  [
    "a certificate that is not valid yet",
    { at: now - 86_400_000 },
    /^--cert .*: it is not valid before/,
  ],
] as const)("%s prevents the start, and the message names the option", (_, change, message) => {
  expect(() => load(change)).toThrow(message);
});

test("a missing file is named with its option, and no secret is quoted", () => {
  const files = { certificate: "/nonexistent/c.pem", key: "k", trustBundle: "b" };
  expect(() => loadCredentials(files, now)).toThrow(
    "--cert /nonexistent/c.pem: there is no such file",
  );
  expect(() => load({ key: "hunter2" })).not.toThrow("hunter2");
});
