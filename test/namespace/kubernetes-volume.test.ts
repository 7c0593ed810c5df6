/**
 * Credentials in a volume that kubelet maintains: swaps are detected, CAs can be rolled, and broken files change
 * nothing.
 */
import { writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "bun:test";

import { issueAuthority, issueLeaf, type Authority } from "../../src/identity/issue.ts";
import { AtomicVolume } from "../support/atomic-volume.ts";
import { written } from "../support/crafted.ts";
import { serveHttp } from "../support/http.ts";
import { Network, type Pod, type Running } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, metrics } from "../support/status.ts";
import { temporaryDirectory } from "../support/temporary.ts";

type Files = Readonly<Record<"tls.crt" | "tls.key" | "ca.crt", string>>;

const network = Network.create();
const client = network.pod();
/** A pod without a proxy. */
const outside = network.pod();
const old = issueAuthority("old");
const young = issueAuthority("young");
const replaced = 'tproxy_credential_reloads_total{result="replaced"}';
const kept = 'tproxy_credential_reloads_total{result="kept"}';

const clients = new AtomicVolume(filesOf(old, [old]));

beforeAll(async () => {
  await client.proxy(["--credentials", clients.directory]);
});

test("a swap is detected: the next handshake shows the new certificate", async () => {
  const { pod, volume } = await member(filesOf(old, [old]));
  for (const turn of [1, 2, 3]) {
    const files = filesOf(old, [old]);
    expect(await shownBy(pod)).not.toBe(files["tls.crt"].trim());
    volume.write(files);
    await metricOnce(pod, replaced, (count) => count === turn);
    expect(await shownBy(pod)).toBe(files["tls.crt"].trim());
  }
  expect((await metrics(pod)).get(kept)).toBe(0);
});

test("a CA roll-over under traffic fails no connection", async () => {
  const members = [await member(filesOf(old, [old])), await member(filesOf(old, [old]))] as const;
  const [a, b] = members;
  const roll = { over: false, served: 0 };
  const ask = async (from: Pod, to: Pod): Promise<void> => {
    while (!roll.over) {
      const answer = await curl(from, `http://${to.address4}:8000/`);
      expect(answer).toEqual({ code: 0, output: "served" });
      roll.served += 1;
    }
  };
  const asking = [ask(a.pod, b.pod), ask(b.pod, a.pod)];
  const steps: readonly (readonly [number, Authority, readonly Authority[]])[] = [
    [0, old, [old, young]],
    [1, old, [old, young]],
    [0, young, [old, young]],
    [1, young, [old, young]],
    [0, young, [young]],
    [1, young, [young]],
  ];
  for (const [index, [who, issuer, bundle]] of steps.entries()) {
    const one = members[who as 0 | 1];
    one.volume.write(filesOf(issuer, bundle));
    await metricOnce(one.pod, replaced, (count) => count === Math.floor(index / 2) + 1);
    const before = roll.served;
    while (roll.served < before + 4) await metrics(one.pod);
  }
  roll.over = true;
  await Promise.all(asking);
  // The old CA is now unknown.
  const stranger = 'tproxy_handshake_failures_total{direction="inbound",reason="untrusted-chain"}';
  expect((await metrics(a.pod)).get(stranger)).toBe(0);
  await shownBy(a.pod);
  await metricOnce(a.pod, stranger, (count) => count === 1);
});

const half = (text: string): string => text.slice(0, text.length / 2);

test.each([
  ["half a certificate", (good: Files) => ({ ...good, "tls.crt": half(good["tls.crt"]) })],
  ["half a key", (good: Files) => ({ ...good, "tls.key": half(good["tls.key"]) })],
  ["half a CA", (good: Files) => ({ ...good, "ca.crt": half(good["ca.crt"]) })],
  [
    "a CA and a half",
    (good: Files) => ({ ...good, "ca.crt": good["ca.crt"] + half(young.certificatePem) }),
  ],
  ["an empty certificate", (good: Files) => ({ ...good, "tls.crt": "" })],
  ["an empty key", (good: Files) => ({ ...good, "tls.key": "" })],
  ["an empty bundle", (good: Files) => ({ ...good, "ca.crt": "" })],
  ["a certificate of zeros", (good: Files) => ({ ...good, "tls.crt": "\0".repeat(900) })],
  [
    "garbage in a key",
    (good: Files) => ({ ...good, "tls.key": good["tls.key"].replace("MIG", "GIM") }),
  ],
] as const)(
  "%s, written in place: counted as kept, changes nothing, and is loaded when complete",
  async (_, spoil) => {
    const directory = temporaryDirectory();
    const before = filesOf(old, [old]);
    write(directory, before);
    const pod = network.pod();
    await serveHttp(pod, 8000, "served");
    const proxy = await pod.proxy(["--credentials", directory]);
    const good = filesOf(old, [old]);
    write(directory, spoil(good));
    expect(await reloaded(pod)).toEqual({ kept: 1, replaced: 0 });
    await proxy.says(/W\S+ .*credentials\] the old ones stay in use: --\S+ \S+: /);
    expect(await shownBy(pod)).toBe(before["tls.crt"].trim());
    expect((await curl(client, `http://${pod.address4}:8000/`)).output).toBe("served");
    write(directory, good);
    await metricOnce(pod, replaced, (count) => count === 1);
    expect(await shownBy(pod)).toBe(good["tls.crt"].trim());
    expect(await reloaded(pod)).toEqual({ kept: 1, replaced: 1 });
  },
);

test("a bundle that is not yet completely written drops no CA", async () => {
  const directory = temporaryDirectory();
  write(directory, filesOf(old, [young, old]));
  const pod = network.pod();
  await serveHttp(pod, 8000, "served");
  await pod.proxy(["--credentials", directory]);
  const good = filesOf(young, [young, old]);
  write(directory, { ...good, "ca.crt": good["ca.crt"].slice(0, -200) });
  expect(await reloaded(pod)).toEqual({ kept: 1, replaced: 0 });
  expect((await curl(client, `http://${pod.address4}:8000/`)).output).toBe("served");
});

test("the directory disappears; its contents are loaded when it is back, and after later changes", async () => {
  const { pod, proxy, volume } = await member(filesOf(old, [old]));
  volume.remove();
  await proxy.says(/the old ones stay in use: --cert \S+: there is no such file/);
  expect((await curl(client, `http://${pod.address4}:8000/`)).output).toBe("served");
  for (const turn of [1, 2]) {
    const files = filesOf(old, [old]);
    volume.write(files);
    await metricOnce(pod, replaced, (count) => count === turn);
    expect(await shownBy(pod)).toBe(files["tls.crt"].trim());
  }
});

type Member = { readonly pod: Pod; readonly proxy: Running; readonly volume: AtomicVolume };

/** A pod with an application, and a proxy with its credentials in a volume. */
async function member(files: Files): Promise<Member> {
  const volume = new AtomicVolume(files);
  const pod = network.pod();
  await serveHttp(pod, 8000, "served");
  return { pod, volume, proxy: await pod.proxy(["--credentials", volume.directory]) };
}

/** The proxy's reload counts, once the metrics exist. */
async function reloaded(pod: Pod): Promise<{ readonly kept: number; readonly replaced: number }> {
  for (;;) {
    const all = await metrics(pod);
    const counts = { kept: all.get(kept) ?? 0, replaced: all.get(replaced) ?? 0 };
    if (counts.kept + counts.replaced > 0) return counts;
  }
}

/** A new certificate from `issuer`, and the trusted CAs. */
function filesOf(issuer: Authority, bundle: readonly Authority[]): Files {
  const leaf = issueLeaf(issuer, { spiffeId: "spiffe://test.example/member" });
  return {
    "tls.crt": leaf.certificatePem,
    "tls.key": leaf.keyPem,
    "ca.crt": bundle.map(({ certificatePem }) => certificatePem).join(""),
  };
}

/** Writes in place, as careless tools do. */
function write(directory: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text);
}

/** The certificate that a peer receives. */
async function shownBy(pod: Pod): Promise<string> {
  const { certificate, key } = written(issueLeaf(old, { spiffeId: "spiffe://test.example/c" }));
  const connect = ["openssl", "s_client", "-connect", `${pod.address4}:8000`];
  const command = ["timeout", "10", ...connect, "-cert", certificate, "-key", key];
  const { stdout } = await outside.run(command);
  return /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(stdout)?.[0] ?? "";
}
