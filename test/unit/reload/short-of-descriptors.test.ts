/** Credentials that cannot be tried for want of a descriptor or of memory are not blamed. */
import { expect, test } from "bun:test";

import { notServed } from "../../../src/net/listener.ts";
import { CredentialStore } from "../../../src/reload/credential-store.ts";
import { ProxyError } from "../../../src/runtime/errors.ts";
import { credentialsFor } from "../../support/credentials.ts";
import { loadCredentials } from "../../../src/identity/source.ts";

const paths = credentialsFor(["10.0.0.1"], {});
const files = { certificate: paths.certificate, key: paths.key, trustBundle: paths.authority };

test("with few free descriptors the error names the shortage and the remedy, and no certificate is refused", () => {
  const script = `${import.meta.dir}/../../support/few-descriptors.ts`;
  const command = ["prlimit", "--nofile=80:80", "bun", script, ...Object.values(files)];
  const { stdout, stderr } = Bun.spawnSync(command);
  expect(stderr.toString()).toBe("");
  const results = JSON.parse(stdout.toString()) as readonly (readonly [string, string])[];
  expect([results[0], results.at(-1)]).toEqual([
    ["accepted", ""],
    ["accepted", ""],
  ]);
  const short = results.slice(1, -1);
  // No file can be read, or no socket opened for the handshake.
  expect(short.length).toBeGreaterThan(3);
  for (const [code, message] of short) {
    expect([code, message]).toEqual([
      "SYSTEM_CALL",
      expect.stringMatching(/EMFILE \(this process has no descriptor left: .*ulimit -n/),
    ]);
    expect(message).not.toMatch(/TLS|refuse|peer/);
  }
  expect(
    short.filter(([, message]) => message.startsWith("the credentials cannot be tried")),
  ).not.toEqual([]);
});

test.each([
  [
    { code: "ENFILE", errno: 23 },
    /^listen: ENFILE \(this machine has no descriptor left: raise fs\.file-max/,
  ],
  [{ code: "ENOMEM", errno: 12 }, /^listen: ENOMEM \(the kernel has no memory/],
  [{ code: "ENOBUFS", errno: -105 }, /^listen: ENOBUFS \(the kernel has no memory/],
  [{ code: "EADDRNOTAVAIL", errno: 99 }, /^listen: EADDRNOTAVAIL$/],
  [{}, /is memory short\?$/],
] as const)("an error of a socket is told as such: %j", (fields, says) => {
  const cause = Object.assign(new Error("Failed to listen at "), fields);
  const { code, message } = notServed(cause);
  expect([code, message]).toEqual(["SYSTEM_CALL", expect.stringMatching(says)]);
});

test.each([
  [
    "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
    "error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH",
    "the TLS library does not take them: KEY_VALUES_MISMATCH",
  ],
  ["ERR_BORINGSSL", "Invalid CA", 'the TLS library does not take them: "Invalid CA"'],
])("an error of the TLS library is told as such: %s", (code, text, says) => {
  const error = notServed(Object.assign(new Error(text), { code }));
  expect([error.code, error.message]).toEqual(["CREDENTIALS_INVALID", says]);
});

test("a reload that could not be tried says so, and when it is tried again", async () => {
  const value = loadCredentials(files, Date.now());
  const kept: string[] = [];
  let short = true;
  const store = new CredentialStore({
    files,
    first: { value, signature: "" },
    load: async () => {
      if (short) throw new ProxyError("SYSTEM_CALL", "socket: EMFILE");
      throw new ProxyError("CREDENTIALS_INVALID", "--cert x: no");
    },
    replaced: () => undefined,
    kept: (reason) => kept.push(reason),
    retryMs: { first: 7000, max: 7000 },
  });
  await store.reload();
  expect([store.isUntried, store.refusal]).toEqual([true, "socket: EMFILE"]);
  short = false;
  await store.reload();
  expect([store.isUntried, store.refusal]).toEqual([false, "--cert x: no"]);
  store.stop();
  expect(kept).toEqual(["socket: EMFILE. They are tried again in 7 s", "--cert x: no"]);
});
