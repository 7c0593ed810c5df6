/** Every format in which platforms deliver keys, chains and bundles is read, and accepted by the TLS library. */
import { expect, test } from "bun:test";

import { dialingOptions, terminatingOptions } from "../../../src/tls/options.ts";
import { findCredentialFiles } from "../../../src/identity/discovery.ts";
import { loadCredentials, type Credentials } from "../../../src/identity/source.ts";
import {
  encrypted,
  laidOut,
  layouts,
  Platform,
  spellings,
  type Kind,
  type Texts,
} from "../../support/platform-credentials.ts";

const platform = new Platform();
const plain = platform.texts("P-256", "PKCS#8");

test.each([
  ["P-256", "PKCS#8"],
  ["P-256", "SEC1"],
  ["P-256", "SEC1 after its parameters"],
  ["P-384", "PKCS#8"],
  ["P-384", "SEC1"],
  ["P-384", "SEC1 after its parameters"],
  ["RSA", "PKCS#8"],
  ["RSA", "PKCS#1"],
] as const)("a key of %s in %s carries a connection", async (kind, form) => {
  const texts = platform.texts(kind, form);
  expect(await carried(load(texts))).toEqual([null, idOf(kind)]);
});

test.each(Object.keys(spellings))(
  "all three files, written %s, carry a connection",
  async (how) => {
    const spell = spellings[how] ?? ((pem: string) => pem);
    const { certificate, key, bundle } = platform.texts("P-256", "SEC1", "middle");
    const texts = { certificate: spell(certificate), key: spell(key), bundle: spell(bundle) };
    expect(await carried(load(texts))).toEqual([null, idOf("P-256")]);
  },
);

test.each([
  ["a chain through an intermediate", platform.texts("RSA", "PKCS#8", "middle")],
  ["a bundle of two CAs", platform.withOther(platform.texts("RSA", "PKCS#8"))],
  ["both", platform.withOther(platform.texts("RSA", "PKCS#8", "middle"))],
  ["a duplicate CA", platform.withOther(platform.withOther(platform.texts("RSA", "PKCS#8")))],
] as const)("%s: carries a connection", async (_, texts) => {
  expect(await carried(load(texts))).toEqual([null, idOf("RSA")]);
});

test.each(Object.keys(layouts) as (keyof typeof layouts)[])(
  "files in the layout of %s are found, and carry a connection",
  async (layout) => {
    const texts = platform.texts("P-384", "SEC1", "middle");
    expect(await carried(load(texts, layout))).toEqual([null, idOf("P-384")]);
  },
);

test("a key and a chain in one file may be in either order", async () => {
  const { certificate, key, bundle } = platform.texts("P-256", "SEC1", "middle");
  for (const both of [key + certificate, certificate + key]) {
    const credentials = load({ certificate: "", key: both, bundle }, "podCertificate");
    expect(await carried(credentials)).toEqual([null, idOf("P-256")]);
  }
});

test.each(["PKCS#8", "traditional"] as const)(
  "a key encrypted the %s way is refused, naming the option and quoting nothing of the key",
  (form) => {
    const key = encrypted(plain.key, form);
    expect(() => load({ ...plain, key })).toThrow(
      /^--key \S+tls\.key: it contains no private key in readable, unencrypted PEM: it is encrypted\. openssl pkey -in FILE -out NEW decrypts it$/,
    );
  },
);

test("a key of another type than the certificate's is refused", () => {
  const { key } = platform.texts("RSA", "PKCS#1");
  expect(() => load({ ...plain, key })).toThrow("it is not the key of the certificate");
});

function load(texts: Texts, layout: keyof typeof layouts = "Kubernetes"): Credentials {
  const files = findCredentialFiles(laidOut(layout, texts));
  if (files === null) throw new Error("not found");
  return loadCredentials(files, Date.now());
}

function idOf(kind: Kind): string {
  return `spiffe://platform.example/${kind}`;
}

/** Both ends use the same credentials: returns why the server rejects the client, and the data received. */
async function carried(credentials: Credentials): Promise<readonly [string | null, string]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly [string | null, string]>();
  let doubt: string | null = "no handshake";
  using _ = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: terminatingOptions(credentials, "1.3", 0),
    socket: {
      handshake: (_socket, _success, error) => {
        doubt = error?.message ?? null;
      },
      data: (_socket, chunk) => {
        resolve([doubt, chunk.toString()]);
      },
    },
  });
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: _.port,
    tls: dialingOptions(credentials, "1.3", true),
    socket: {
      handshake: (socket) => {
        socket.write(credentials.identity.spiffeId ?? "nobody");
      },
      data: () => undefined,
      close: () => {
        reject(new Error("the connection was closed"));
      },
    },
  });
  const result = await promise;
  client.end();
  return result;
}
