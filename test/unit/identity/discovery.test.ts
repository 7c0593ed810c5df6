import { mkdirSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { describeMissing, findCredentialFiles } from "../../../src/identity/discovery.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { loadCredentials } from "../../../src/identity/source.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const authority = issueAuthority("an authority");
const leaf = issueLeaf(authority, { spiffeId: "spiffe://a.example/b" });
const rsa = issueLeaf(authority, { spiffeId: "spiffe://a.example/c", rsa: true });

function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = `${temporaryDirectory()}/credentials`;
  mkdirSync(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text);
  return directory;
}

test.each([
  ["GKE", ["certificates.pem", "private_key.pem", "ca_certificates.pem"]],
  ["Kubernetes", ["tls.crt", "tls.key", "ca.crt"]],
  ["spiffe-helper", ["svid.pem", "svid_key.pem", "svid_bundle.pem"]],
] as const)("%s's files are found and valid, EC and RSA", (_, [certificate, key, bundle]) => {
  for (const { certificatePem, keyPem } of [leaf, rsa]) {
    const directory = directoryWith({
      [certificate]: certificatePem,
      [key]: keyPem,
      [bundle]: authority.certificatePem,
    });
    const files = findCredentialFiles(directory);
    expect(files).not.toBeNull();
    if (files !== null) expect(loadCredentials(files, Date.now()).notAfter).toBeGreaterThan(0);
  }
});

test("a podCertificate bundle: the key, then the chain, in one file", () => {
  const directory = directoryWith({
    "credential-bundle.pem": leaf.keyPem + leaf.certificatePem,
    "trust-bundle.pem": authority.certificatePem,
  });
  const files = findCredentialFiles(directory);
  expect(files?.key).toBe(`${directory}/credential-bundle.pem`);
  if (files !== null)
    expect(loadCredentials(files, Date.now()).identity.spiffeId).toBe(
      "spiffe://a.example/b" as never,
    );
});

test("a directory without one of the files gives nothing", () => {
  expect(findCredentialFiles(directoryWith({ "tls.crt": "", "tls.key": "" }))).toBeNull();
  expect(findCredentialFiles("/nonexistent")).toBeNull();
});

test.each([
  [{}, "the directory is empty; a container engine makes an empty one"],
  [{ "tls.crt": "", "ca.crt": "" }, "it has tls.crt and ca.crt, but not tls.key"],
  [{ "svid.pem": "" }, "it has svid.pem, but not svid_key.pem and svid_bundle.pem"],
  [{ "trust-bundle.pem": "" }, "it has trust-bundle.pem, but not credential-bundle.pem"],
  [{ "other.pem": "" }, "it holds none of certificates.pem + private_key.pem"],
])("%j in the directory: %s", (files, says) => {
  expect(describeMissing(directoryWith(files))).toStartWith(says);
});

test("a path that is not a directory is named as such", () => {
  const directory = directoryWith({ file: "" });
  expect(describeMissing(`${directory}/none`)).toBe("there is no such directory");
  expect(describeMissing(`${directory}/file`)).toStartWith("it is not a directory");
});
