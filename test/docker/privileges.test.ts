/** Traffic is the same with privileges kept, dropped once the rules are in place, or never granted. */
import { renameSync, writeFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { Cluster, sidecarPrivileges, type Container, type Pod } from "../support/containers.ts";

const cluster = await Cluster.create();
const peer = await cluster.pod("peer");
await peer.proxy({ credentials: cluster.certificate(peer) });
const outsider = await cluster.pod("outsider");
const netRaw = 2 ** 13;
const netAdmin = 2 ** 12;

async function capabilitiesOf(sidecar: Container): Promise<number> {
  return Number(`0x${(await cluster.status(sidecar)).get("CapEff")}`);
}

async function expectProtected(pod: Pod): Promise<void> {
  for (const host of [peer.address4, `[${peer.address6}]`])
    expect((await pod.curl(`http://${host}:8080/`)).stdout).toBe("hello from peer\n");
  for (const host of [pod.address4, `[${pod.address6}]`]) {
    expect((await peer.curl(`http://${host}:8080/`)).stdout).toBe(`hello from ${pod.title}\n`);
    expect((await outsider.curl(`http://${host}:8080/`)).stdout).toBe("");
  }
}

test("kept: the sidecar keeps the capabilities that it was given", async () => {
  const pod = await cluster.pod("kept");
  const options = ["--privileges", "kept"];
  const sidecar = await pod.proxy({ credentials: cluster.certificate(pod), options });
  expect(await capabilitiesOf(sidecar)).toBe(netAdmin + netRaw);
  await expectProtected(pod);
});

test("dropped, the default: only NET_RAW remains", async () => {
  const pod = await cluster.pod("dropped");
  const sidecar = await pod.proxy({ credentials: cluster.certificate(pod) });
  expect(await capabilitiesOf(sidecar)).toBe(netRaw);
  await expectProtected(pod);
});

test("dropped, with a policy: process 1 of the container applies a change that needs new rules", async () => {
  const pod = await cluster.pod("policy");
  const credentials = cluster.certificate(pod);
  writeFileSync(`${credentials}/policy.yaml`, "{}");
  const options = ["--policy", "/certs/policy.yaml"];
  const sidecar = await pod.proxy({ credentials, options });
  expect(await capabilitiesOf(sidecar)).toBe(netRaw);
  await expectProtected(pod);
  writeFileSync(`${credentials}/next.yaml`, "inbound: { mode: permissive }");
  renameSync(`${credentials}/next.yaml`, `${credentials}/policy.yaml`);
  const ask = async (): Promise<string> =>
    (await outsider.curl(`http://${pod.address4}:8080/`)).stdout;
  while ((await ask()) === "") await Bun.sleep(1);
  expect(await ask()).toBe("hello from policy\n");
  expect(await capabilitiesOf(sidecar)).toBe(netRaw);
});

test("external: an init container applies the rules, and the sidecar has only NET_RAW", async () => {
  const pod = await cluster.pod("external");
  await pod.once(["rules", "--apply"], sidecarPrivileges);
  const sidecar = await pod.proxy({
    credentials: cluster.certificate(pod),
    options: ["--rules", "external"],
    privileges:
      "--cap-drop ALL --cap-add NET_RAW --read-only --security-opt no-new-privileges".split(" "),
  });
  expect(await capabilitiesOf(sidecar)).toBe(netRaw);
  await expectProtected(pod);
});
