/**
 * Credential files as found in practice: unused parts are named with their line, and fatal mistakes are explained.
 */
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { loadCredentials, type Credentials } from "../../../src/identity/source.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const directory = temporaryDirectory();
const root = issueAuthority("root");
const other = issueAuthority("other");
const middle = issueAuthority("middle", root);
const leaf = issueLeaf(middle, { spiffeId: "spiffe://test.example/a", ips: ["10.0.0.1"] });
const chain = leaf.certificatePem + middle.certificatePem;
const crl = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";

type Change = { readonly cert?: string; readonly key?: string; readonly ca?: string };

function load({ cert = chain, key = leaf.keyPem, ca = root.certificatePem }: Change): Credentials {
  const files = {
    certificate: file("tls.crt", latin1(cert)),
    key: file("tls.key", latin1(key)),
    trustBundle: file("ca.crt", latin1(ca)),
  };
  return loadCredentials(files, Date.now());
}

function file(name: string, text: Uint8Array): string {
  writeFileSync(`${directory}/${name}`, text);
  return `${directory}/${name}`;
}

function latin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

const good = load({});

test.each([
  ["in order", chain],
  ["with our certificate last", middle.certificatePem + leaf.certificatePem],
  ["with our certificate twice", leaf.certificatePem + chain],
  ["with an intermediate twice", chain + middle.certificatePem],
] as const)("a chain %s is sent in order, each certificate once", (_, cert) => {
  expect(load({ cert })).toEqual(good);
});

test("the root may be anywhere in the chain", () => {
  const inOrder = load({ cert: chain + root.certificatePem });
  const mixed = load({ cert: leaf.certificatePem + root.certificatePem + middle.certificatePem });
  expect(mixed).toEqual(inOrder);
  expect(mixed.leftOut).toEqual([]);
});

test("a CA certified by two others is sent with both certificates", () => {
  const crossed = issueAuthority("middle", other);
  const both = load({ cert: chain + crossed.certificatePem });
  expect(both.certificatePem).toBe(good.certificatePem);
  expect(both.leftOut).toEqual([
    `--cert ${directory}/tls.crt: CN=middle is not sent: it has issued nothing of our chain`,
  ]);
});

test("an unrelated certificate in the chain is not sent, and is named", () => {
  const { certificatePem, leftOut } = load({
    cert: leaf.certificatePem + other.certificatePem + middle.certificatePem,
  });
  expect(certificatePem).toBe(good.certificatePem);
  expect(leftOut.join()).toMatch(/--cert \S+: CN=other is not sent/);
});

test.each([
  [
    "a revocation list among the CAs",
    { ca: root.certificatePem + crl },
    /--ca-cert \S+: X509 CRL in line \d+ is not used: revocation lists are not read/,
  ],
  [
    "a key among the CAs",
    { ca: root.certificatePem + leaf.keyPem },
    /--ca-cert \S+: PRIVATE KEY in line \d+ is not used/,
  ],
  [
    "a revocation list in the chain",
    { cert: chain + crl },
    /--cert \S+: X509 CRL in line \d+ is not used/,
  ],
] as const)("%s is named with its line", (_, change, words) => {
  expect(load(change).leftOut.join()).toMatch(words);
});

test.each(["X509 CERTIFICATE", "TRUSTED CERTIFICATE"])(
  "%s is recognised as a certificate in either file",
  (label) => {
    const named = (pem: string): string =>
      pem.replaceAll(/(?<=-----(BEGIN|END) )CERTIFICATE/g, label);
    expect(load({ cert: named(chain), ca: named(root.certificatePem) })).toEqual(good);
  },
);

const withSettings = (...settings: readonly string[]): string =>
  root.certificatePem + openssl(other.certificatePem, "x509", "-trustout", ...settings);

test("trust settings after a certificate are obeyed", () => {
  const used = [[], ["-setalias", "mine"], ["-addtrust", "serverAuth", "-addtrust", "clientAuth"]];
  const unused = [
    ["-addtrust", "serverAuth"],
    ["-addreject", "clientAuth"],
    ["-addreject", "anyExtendedKeyUsage"],
  ];
  for (const settings of used)
    expect(load({ ca: withSettings(...settings) })).toMatchObject({
      leftOut: [],
      trustBundlePem: load({ ca: root.certificatePem + other.certificatePem }).trustBundlePem,
    });
  for (const settings of unused)
    expect(load({ ca: withSettings(...settings) })).toMatchObject({
      leftOut: [
        expect.stringContaining("its trust settings do not allow TLS for servers and clients"),
      ],
      trustBundlePem: good.trustBundlePem,
    });
});

test("of several keys in a file the matching one is used", () => {
  const another = issueLeaf(middle, {}).keyPem;
  expect(load({ key: another + leaf.keyPem })).toEqual(good);
});

const der = (pem: string): string =>
  Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64").toString("latin1");
const openssl = (input: string, ...args: readonly string[]): string =>
  Bun.spawnSync(["openssl", ...args], { stdin: Buffer.from(input) }).stdout.toString("latin1");
const pkcs12 = (): string => {
  writeFileSync(`${directory}/both.pem`, chain + leaf.keyPem);
  return openssl("", "pkcs12", "-export", "-in", `${directory}/both.pem`, "-passout", "pass:x");
};
const curveKey = (curve: string): string =>
  openssl("", "ecparam", "-name", curve, "-genkey", "-noout");
const dsaParameters = openssl("", "dsaparam", "1024");
const dsaKey = openssl(dsaParameters, "gendsa", "/dev/stdin");
const dsaCertificate = openssl(dsaKey, "req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=dsa");

test.each([
  [
    "a certificate in DER",
    { cert: der(leaf.certificatePem) },
    /--cert .*it is DER, not PEM: openssl x509 -inform DER/,
  ],
  [
    "a key in DER",
    { key: der(leaf.keyPem) },
    /--key .*it is a key in DER, not PEM: openssl pkey -inform DER/,
  ],
  ["PKCS#12", { cert: pkcs12() }, /--cert .*it is a PKCS#12 file, not PEM: openssl pkcs12/],
  [
    "PKCS#7",
    { ca: openssl(root.certificatePem, "crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin") },
    /--ca-cert .*it is PKCS#7: openssl pkcs7/,
  ],
  ["UTF-16", { cert: "\u00FF\u00FE-\0-\0" }, /--cert .*it is UTF-16/],
  [
    "base64 of PEM",
    { ca: Buffer.from(root.certificatePem).toString("base64") },
    /--ca-cert .*it is base64 of PEM/,
  ],
  [
    "line ends that are two characters",
    { cert: chain.replaceAll("\n", String.raw`\n`) },
    /--cert .*line ends/,
  ],
  ["a key in place of a certificate", { cert: leaf.keyPem }, /--cert .*it is a private key/],
  ["a certificate in place of a key", { key: chain }, /--key .*it is a certificate/],
  [
    "a truncated certificate",
    { ca: root.certificatePem + chain.slice(0, 300) },
    /--ca-cert .*it ends in the middle of a certificate.*line \d+/,
  ],
  [
    "a key of secp256k1",
    { key: curveKey("secp256k1") },
    /--key .*the TLS library does not know the curve secp256k1\. Use EC P-256/,
  ],
  [
    "a key of a brainpool curve",
    { key: curveKey("brainpoolP256r1") },
    /--key .*the TLS library does not know brainpool curves/,
  ],
  [
    "a DSA key that the library can read",
    { key: dsaKey },
    /--key .*the TLS library does not take DSA keys\. Use EC P-256/,
  ],
  [
    "a DSA key with its certificate",
    { key: dsaKey, cert: dsaCertificate },
    /--key .*the TLS library does not take DSA keys\. Use EC P-256/,
  ],
  [
    "a DSA key in the format of old programs",
    { key: dsaKey.replaceAll("PRIVATE", "DSA PRIVATE") },
    /--key .*the TLS library does not take DSA keys\. Use EC P-256/,
  ],
  [
    "a key that cannot sign",
    { key: openssl("", "genpkey", "-algorithm", "X25519") },
    /--key .*the TLS library does not take X25519 keys\. Use EC P-256/,
  ],
] as const)("%s is reported as such, with a remedy", (_, change, words) => {
  expect(() => load(change)).toThrow(words);
});
