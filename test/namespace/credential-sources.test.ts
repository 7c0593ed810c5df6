/** Proxies whose credentials come from different platforms, in different formats, accept each other as peers. */
import { writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { Network, executable, type Pod, type Running } from "../support/pods.ts";
import {
  encrypted,
  laidOut,
  layouts,
  Platform,
  spellings,
  type Texts,
} from "../support/platform-credentials.ts";
import { curl } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const network = Network.create();
const platform = new Platform();
const crlf = spelled("with CRLF");
const described = spelled("with text before it");

const sources = [
  ["GKE's directory, RSA in PKCS#1", "RSA", from("GKE", platform.texts("RSA", "PKCS#1"))],
  [
    "a Kubernetes secret, P-256 in SEC1, written with CRLF",
    "P-256",
    from("Kubernetes", crlf(platform.texts("P-256", "SEC1 after its parameters"))),
  ],
  [
    "spiffe-helper's directory, P-384 in SEC1 through an intermediate",
    "P-384",
    from("spiffe-helper", platform.texts("P-384", "SEC1", "middle")),
  ],
  [
    "a podCertificate, key and chain in one file, two CAs",
    "P-256",
    from("podCertificate", platform.withOther(platform.texts("P-256", "PKCS#8", "middle"))),
  ],
  [
    "three files, RSA in PKCS#8 with text before it",
    "RSA",
    filesOf(described(platform.texts("RSA", "PKCS#8"))),
  ],
] as const;

const members: { readonly pod: Pod; readonly proxy: Running }[] = [];

beforeAll(async () => {
  for (const [, , flags] of sources) {
    const pod = network.pod();
    await serveHttp(pod, 8000, "served");
    members.push({ pod, proxy: await pod.proxy(flags) });
  }
});

test.each(sources.map(([name, kind], index) => [name, kind, index] as const))(
  "with %s the proxy is client and server of all others",
  async (_, kind, index) => {
    const me = members[index];
    for (const other of members) {
      if (me === undefined || other === me) continue;
      expect((await curl(me.pod, `http://${other.pod.address4}:8000/`)).output).toBe("served");
      await other.proxy.says(
        new RegExp(
          `Closed connection from ${me.pod.address4}:.* peer=spiffe://platform.example/${kind} `,
        ),
      );
    }
  },
);

test.each(["PKCS#8", "traditional"] as const)(
  "a key encrypted the %s way prevents the start, and the message names the option",
  async (form) => {
    const pod = network.pod();
    const texts = platform.texts("P-256", "PKCS#8");
    const flags = filesOf({ ...texts, key: encrypted(texts.key, form) });
    const { code, stderr } = await pod.run([...executable(), ...flags]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /--key \S+\/key: it contains no private key in readable, unencrypted PEM: it is encrypted\. openssl pkey -in FILE -out NEW decrypts it\n$/,
    );
  },
);

function from(layout: keyof typeof layouts, texts: Texts): readonly string[] {
  return ["--credentials", laidOut(layout, texts)];
}

function filesOf(texts: Texts): readonly string[] {
  const directory = temporaryDirectory();
  const write = (name: keyof Texts): string => {
    writeFileSync(`${directory}/${name}`, texts[name]);
    return `${directory}/${name}`;
  };
  return ["--cert", write("certificate"), "--key", write("key"), "--ca-cert", write("bundle")];
}

function spelled(how: string): (texts: Texts) => Texts {
  const spell = spellings[how] ?? ((pem: string) => pem);
  return ({ certificate, key, bundle }) => ({
    certificate: spell(certificate),
    key: spell(key),
    bundle: spell(bundle),
  });
}
