/** Applications and sidecars restart: traffic works again each time, and nothing passes in between. */
import { expect, test } from "bun:test";

import { Cluster, type Container, type Pod } from "../support/containers.ts";

const cluster = await Cluster.create();
/** Without a proxy: traffic to and from this pod is in cleartext. */
const [peer, bare] = await Promise.all([cluster.pod("peer"), cluster.pod("bare")]);
await peer.proxy({ credentials: cluster.certificate(peer) });

async function meshed(name: string): Promise<{ pod: Pod; proxy: Container }> {
  const pod = await cluster.pod(name);
  return { pod, proxy: await pod.proxy({ credentials: cluster.certificate(pod) }) };
}

/** What `from` gets from `to`; empty after two seconds of silence. */
async function asked(from: Pod, to: Pod): Promise<string> {
  return (await from.exec("curl", "-s", "-m", "2", `http://${to.address4}:8080/`)).stdout;
}

async function expectWell(pod: Pod): Promise<void> {
  expect(await asked(peer, pod)).toBe(`hello from ${pod.title}\n`);
  expect(await asked(pod, peer)).toBe("hello from peer\n");
  await expectClosed(pod);
}

async function expectClosed(pod: Pod): Promise<void> {
  expect(await asked(bare, pod)).toBe("");
  expect(await asked(pod, bare)).toBe("");
}

test("control: without a proxy both directions are open", async () => {
  const pod = await cluster.pod("control");
  expect(await asked(bare, pod)).toBe("hello from control\n");
  expect(await asked(pod, bare)).toBe("hello from bare\n");
});

test("an application restarts", async () => {
  const { pod } = await meshed("again");
  const client = await peer.agent().connect(pod.address4, 8080);
  await client.say("GET /");
  await pod.application.kill("KILL");
  expect((await client.finish()).ending).toBeOneOf(["end", "ECONNRESET"]);
  expect(await asked(peer, pod)).toBe("");
  await pod.application.start();
  await pod.application.says(/serving/);
  await expectWell(pod);
});

test("a sidecar restarts: nothing passes in between, then traffic works, and its rules exist once", async () => {
  const { pod, proxy } = await meshed("restarted");
  await expectWell(pod);
  const before = await pod.rules();
  expect(before.match(/table inet tls-tproxy/g)).toHaveLength(1);
  expect(await proxy.stop()).toBe(0);
  await expectClosed(pod);
  expect(await asked(peer, pod)).toBe("");
  await proxy.start();
  await proxy.says(/\] ready/);
  await expectWell(pod);
  expect(await pod.rules()).toBe(before);
});

test("a sidecar is killed and restarts: nothing passes in between, then traffic works with its rules once", async () => {
  const { pod, proxy } = await meshed("killed");
  const before = await pod.rules();
  expect(await proxy.kill("KILL")).toBe(137);
  await expectClosed(pod);
  expect(await asked(peer, pod)).toBe("");
  await proxy.start();
  await proxy.says(/\] ready/);
  await expectWell(pod);
  expect(await pod.rules()).toBe(before);
});

test("a new container that replaces the sidecar takes over its rules", async () => {
  const { pod, proxy } = await meshed("replaced");
  const before = await pod.rules();
  expect(await proxy.kill("KILL")).toBe(137);
  await pod.proxy({ credentials: cluster.certificate(pod) });
  await expectWell(pod);
  expect(await pod.rules()).toBe(before);
});
