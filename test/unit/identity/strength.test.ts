/** Short keys and broken hashes are refused anywhere in a chain, except in a root's signature of itself. */
import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

import { loadCredentials, type Credentials } from "../../../src/identity/source.ts";
import { weakLink } from "../../../src/identity/strength.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import type { CredentialPaths } from "../../support/credentials.ts";
import { oldRoot, weakChains, writeChain } from "../../support/weak-chains.ts";

const names = "URI:spiffe://test.example/old";

function load({ certificate, key, authority }: CredentialPaths): Credentials {
  return loadCredentials({ certificate, key, trustBundle: authority }, Date.now());
}

function ders(pem: string): readonly Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block).raw);
}

const where = {
  "a leaf with a key of 1024 bits": /^certificate has an RSA key of 1024 bits, 2048 are the least/,
  "a leaf signed by SHA-1": /^certificate has a signature by SHA-1/,
  "an intermediate with a key of 1024 bits":
    /^the CA CN=old middle of its chain has an RSA key of 1024/,
  "an intermediate signed by SHA-1": /^the CA CN=old middle of its chain has a signature by SHA-1/,
  "a root with a key of 1024 bits": /^the CA CN=old root of its chain has an RSA key of 1024/,
} as const;

test.each(Object.entries(where))(
  "%s is named, and a chain of our own with it is refused",
  (kind, words) => {
    const paths = writeChain(weakChains[kind] ?? {}, names);
    const chain = ders(
      readFileSync(paths.certificate, "utf8") + readFileSync(paths.authority, "utf8"),
    );
    expect(weakLink(chain)).toMatch(words);
    expect(() => load(paths)).toThrow(
      new RegExp(`--cert .*: ${words.source.slice(1)}.*peers refuse it`),
    );
  },
);

test.each([
  ["a root that signs itself by SHA-1", oldRoot],
  ["a chain without any weakness", {}],
] as const)("%s is accepted", (_, chain) => {
  const paths = writeChain(chain, names);
  expect(load(paths).leftOut).toEqual([]);
  expect(weakLink(ders(readFileSync(paths.certificate, "utf8")))).toBeNull();
});

test("a weak CA beside ours is named, and not used to verify peers", () => {
  const [weak, good] = [writeChain({ root: { key: "rsa:1024" } }, names), writeChain({}, names)];
  const both = readFileSync(weak.authority, "utf8") + readFileSync(good.authority, "utf8");
  writeFileSync(good.authority, both);
  const { leftOut, trustBundlePem } = load(good);
  expect(leftOut).toEqual([
    `--ca-cert ${good.authority}: CN=old root is not trusted: it has an RSA key of 1024 bits, 2048 are the least`,
  ]);
  expect(ders(trustBundlePem)).toHaveLength(1);
});

test("elliptic-curve keys are strong, and bytes that are no certificate are not", () => {
  const authority = issueAuthority("root");
  const leaf = issueLeaf(authority, { spiffeId: "spiffe://a/b" });
  expect(weakLink(ders(leaf.certificatePem + authority.certificatePem))).toBeNull();
  expect(weakLink([new Uint8Array([1, 2, 3])])).toContain("cannot be read");
});
