/** Credentials are read again when their files change, and periodically while they are refused. */
import { writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { CredentialsError } from "../../../src/identity/credentials-error.ts";
import { issueAuthority, issueLeaf } from "../../../src/identity/issue.ts";
import { loadCredentials, type Credentials } from "../../../src/identity/source.ts";
import { signatureOf } from "../../../src/reload/watched-files.ts";
import { CredentialStore } from "../../../src/reload/credential-store.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const directory = temporaryDirectory();
const ca = issueAuthority("a CA");
const files = {
  certificate: `${directory}/tls.crt`,
  key: `${directory}/tls.key`,
  trustBundle: `${directory}/ca.crt`,
};
const [old, renewed] = [made(), made()];

function made(): Credentials {
  const { certificatePem, keyPem } = issueLeaf(ca, {});
  writeFileSync(files.certificate, certificatePem);
  writeFileSync(files.key, keyPem);
  writeFileSync(files.trustBundle, ca.certificatePem);
  return loadCredentials(files, Date.now());
}

/** A store with these results of its readings in turn, the last one repeatedly. */
function store(...readings: readonly (() => Credentials)[]) {
  const kept: string[] = [];
  let count = 0;
  const replaced = Promise.withResolvers<Credentials>();
  const one = new CredentialStore({
    files,
    first: { value: old, signature: signatureOf(Object.values(files)) },
    load: async () => {
      await Promise.resolve();
      const reading = readings[Math.min(count, readings.length - 1)];
      count += 1;
      return (reading ?? fail("no reading"))();
    },
    replaced: replaced.resolve,
    kept: (reason) => kept.push(reason),
    retryMs: { first: 20, max: 80 },
  });
  return { store: one, kept, replaced: replaced.promise, count: () => count };
}

function refuse(message: string, validFrom: number | null = null): () => never {
  return () => {
    throw new CredentialsError(message, { validFrom });
  };
}

function fail(message: string): never {
  throw new Error(message);
}

test("refused credentials are read again until they are valid, and the reason is logged once", async () => {
  const {
    store: one,
    kept,
    replaced,
  } = store(...Array.from({ length: 4 }, () => refuse("no good")), () => renewed);
  await one.reload();
  expect([one.current, one.refusal]).toEqual([old, "no good"]);
  expect(await replaced).toBe(renewed);
  await Bun.sleep(0);
  expect([one.current, one.refusal, kept]).toEqual([renewed, null, ["no good"]]);
  one.stop();
});

test("credentials not yet valid are used as soon as they are", async () => {
  const validFrom = Date.now() + 60;
  const {
    store: one,
    kept,
    replaced,
  } = store(() => (Date.now() < validFrom ? refuse("not valid yet", validFrom)() : renewed));
  await one.reload();
  expect(kept).toEqual(["not valid yet"]);
  expect(await replaced).toBe(renewed);
  one.stop();
});

test("restored files end the refusal, and replace nothing", async () => {
  const { store: one, kept } = store(refuse("no good"), () => old);
  await one.reload();
  await one.reload();
  expect([one.refusal, kept, one.current]).toEqual([null, ["no good"], old]);
  one.stop();
});

test("a read requested during another follows it", async () => {
  const { store: one, replaced, count } = store(refuse("half written"), () => renewed);
  void one.reload();
  await one.reload();
  expect(await replaced).toBe(renewed);
  expect(count()).toBe(2);
  one.stop();
});

test("after the stop nothing is loaded or logged", async () => {
  const { store: one, kept } = store(refuse("no good"));
  const reading = one.reload();
  one.stop();
  await reading;
  expect([one.refusal, kept]).toEqual([null, []]);
});
