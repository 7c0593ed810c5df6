/** A start that fails prints one line with the reason, and leaves the kernel as it found it. */
import { chmodSync, copyFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import {
  credentialsFor,
  writeUnusable,
  type CredentialPaths,
  type Defect,
} from "../support/credentials.ts";
import { serveHttp } from "../support/http.ts";
import { kernelState, makeForeign } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable } from "../support/pods.ts";
import { curl } from "../support/programs.ts";

const mesh = Mesh.create();

test("with lo down the start fails and says so", async () => {
  const pod = mesh.extraPod();
  await pod.run(["ip", "link", "set", "lo", "down"]);
  const before = await kernelState(pod);
  const proxy = pod.start([...executable(), ...flagsOf(mesh.credentials(pod))]);
  expect(await proxy.child.exited).toBe(1);
  await proxy.says(/ip link set lo up/);
  expect(await kernelState(pod)).toBe(before);
});

const noNetAdmin = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/** What prevents the start, in the pod or in the files, and what the one line must name. */
const causes: readonly Cause[] = [
  {
    name: "the TCP port is in use",
    port: ["127.0.0.1", 1],
    says: /--tcp-port 1 .*EADDRINUSE, because process \d+ \(\S+\) listens there/,
  },
  { name: "the TLS port is in use", port: ["127.0.0.1", 2], says: /--tls-port 2 .*EADDRINUSE/ },
  {
    name: "the status port is in use",
    port: ["0.0.0.0", 15_020],
    says: /--status-address .*EADDRINUSE/,
  },
  {
    name: "the status address belongs to no interface",
    options: ["--status-address", "203.0.113.9:80"],
    says: /--status-address 203\.0\.113\.9:80\): EADDRNOTAVAIL\. No interface that is up .* has this address/,
  },
  { name: "CAP_NET_ADMIN is missing", prefix: noNetAdmin, says: /CAP_NET_ADMIN is missing/ },
  {
    name: "descriptors are too few",
    prefix: ["prlimit", "--nofile=100:100"],
    says: /only 100 descriptors are allowed: raise the limit/,
  },
  {
    name: "the certificate is missing",
    spoil: ({ certificate }) => rmSync(certificate),
    says: /--cert \S+: there is no such file/,
  },
  {
    name: "the key may not be read",
    prefix: nobody,
    spoil: ({ directory, key }) => {
      chmodSync(directory, 0o755);
      chmodSync(key, 0o600);
    },
    open: true,
    says: /--key \S+: it may not be read by this user/,
  },
  {
    name: "the key is garbage",
    spoil: ({ key }) => writeFileSync(key, "hunter2"),
    says: /--key \S+: it contains no private key in readable, unencrypted PEM/,
  },
  {
    name: "the authority is garbage",
    spoil: ({ authority }) => writeFileSync(authority, "hunter2"),
    says: /--ca-cert \S+: no PEM certificate in it/,
  },
  {
    name: "the key belongs to another certificate",
    spoil: ({ key }) => copyFileSync(mesh.credentials(mesh.a).key, key),
    says: /--key \S+: it is not the key of the certificate/,
  },
  {
    name: "the certificate is for servers only",
    spoil: ({ certificate, key }) => {
      const bad = credentialsFor([], { usages: ["serverAuth"] });
      copyFileSync(bad.certificate, certificate);
      copyFileSync(bad.key, key);
    },
    says: /--cert \S+: peers would refuse it as a client's: our certificate \(.*\) is for servers only/,
  },
  {
    name: "the key is of a kind that TLS does not use",
    spoil: writeUnusable,
    says: /--key \S+: the TLS library does not take them: its curve is secp224r1\. Use EC P-256/,
  },
  { name: "the certificate has expired", defect: { expired: true }, says: /--cert .*has expired/ },
  { name: "the certificate is tomorrow's", defect: { early: true }, says: /--cert .*not valid/ },
];

type Cause = {
  readonly name: string;
  readonly says: RegExp;
  readonly port?: readonly [host: string, port: number];
  readonly prefix?: readonly string[];
  readonly options?: readonly string[];
  readonly defect?: Defect;
  readonly spoil?: (paths: CredentialPaths) => void;
  /** Makes the certificates readable by all users. */
  readonly open?: boolean;
};

test.each(causes.map((cause) => [cause.name, cause] as const))(
  "when %s, one line says so and nothing is left behind",
  async (_, cause) => {
    const pod = mesh.extraPod();
    const paths = mesh.credentials(pod, cause.defect ?? {});
    for (const path of cause.open === true ? [paths.certificate, paths.authority] : [])
      chmodSync(path, 0o644);
    cause.spoil?.(paths);
    await makeForeign(pod);
    if (cause.port !== undefined) await pod.agent.listen(...cause.port);
    const before = await kernelState(pod);
    const options = [...flagsOf(paths), ...(cause.options ?? [])];
    const proxy = pod.start([...(cause.prefix ?? []), ...executable(), ...options]);
    expect(await proxy.child.exited).toBe(1);
    await proxy.says(cause.says);
    expect(proxy.output.trim().split("\n")).toHaveLength(1);
    expect(proxy.output).not.toContain("hunter2");
    expect(await kernelState(pod)).toBe(before);
  },
);

test.each([
  ["the same ports", [], /--tcp-port .*EADDRINUSE.*is a proxy running/],
  [
    "other ports",
    ["--tcp-port", "11", "--tls-port", "12", "--status-address", ":15021"],
    /another proxy \(--tcp-port 1, --tls-port 2\) serves this network namespace/,
  ],
] as const)(
  "a second proxy does not start beside a running one, on %s, and the first continues",
  async (_, ports, says) => {
    const pod = mesh.extraPod();
    await mesh.proxy(pod);
    await serveHttp(pod, 8000, "still served");
    const before = await kernelState(pod);
    const flags = [...flagsOf(mesh.credentials(pod)), ...ports];
    const second = pod.start([...executable(), ...flags]);
    expect(await second.child.exited).toBe(1);
    await second.says(says);
    expect(await kernelState(pod)).toBe(before);
    const { certificate, key } = mesh.credentials(mesh.c);
    const own = ["-k", "--cert", certificate, "--key", key];
    const { output } = await curl(mesh.c, ...own, `https://${pod.address4}:8000/`);
    expect(output).toBe("still served");
  },
);
