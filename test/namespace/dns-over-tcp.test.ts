/**
 * TCP port 53 of the pod's own name servers, and nothing else, is left alone; resolv.conf is read again when it
 * changes.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";

import { serveHttpOn } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";

const mesh = Mesh.create();
const { b, c } = mesh;
const servers = [b.address4, b.address6, c.address4, c.address6];
const made: string[] = [];

beforeAll(async () => {
  await Promise.all([b, c].map(async (pod) => await serveHttpOn(pod, [53, 8053], "in clear")));
});

afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true });
});

/** ip-netns(8) mounts a namespace's own file as /etc/resolv.conf; it is written in place, as the kubelet does. */
function nameServers(pod: Pod, ...addresses: readonly string[]): void {
  const folder = `/etc/netns/${pod.namespace}`;
  if (!made.includes(folder)) made.push(folder);
  mkdirSync(folder, { recursive: true });
  const lines = addresses.map((address) => `nameserver ${address}\n`);
  writeFileSync(`${folder}/resolv.conf`, lines.join(""));
}

function podAsking(...addresses: readonly string[]): Pod {
  const pod = mesh.extraPod();
  nameServers(pod, ...addresses);
  return pod;
}

/** The servers that answer in cleartext at this port. */
async function answering(pod: Pod, port: number): Promise<readonly string[]> {
  const asked = servers.map(async (host) => {
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
    const { stdout } = await pod.run(["curl", "--silent", "--max-time", "5", url]);
    return stdout === "" ? [] : [host];
  });
  return (await Promise.all(asked)).flat();
}

test("port 53 of the name servers, and nothing else, is left alone, and the log says so", async () => {
  const pod = podAsking(c.address4, c.address6, "127.0.0.53", "8.8.8.8");
  const proxy = await mesh.proxy(pod);
  await proxy.says(
    /I\S+ .*dns\] TCP port 53 of 10\.77\.0\.3, fd77::3 \(\/etc\/resolv\.conf\) is left alone/,
  );
  expect(await answering(pod, 53)).toEqual([c.address4, c.address6]);
  expect(await answering(pod, 8053)).toEqual([]);
});

test("--dns-tcp intercept, and rules that name the address, take this traffic into the mesh", async () => {
  const policy = new PolicyFile(`outbound: { expect: [{ to: ${c.address4}, verify: ip }] }`);
  const [intercepting, expecting] = [podAsking(c.address4), podAsking(c.address4, c.address6)];
  const proxy = await mesh.proxy(intercepting, ["--dns-tcp", "intercept"]);
  await mesh.proxy(expecting, policy.flags);
  expect(await answering(intercepting, 53)).toEqual([]);
  expect(await answering(expecting, 53)).toEqual([c.address6]);
  expect(proxy.output).not.toContain("dns]");
});

test.each(["kept", "dropped"])(
  "privileges %s: after a change of name servers the old ones are intercepted and the new ones left alone",
  async (privileges) => {
    const pod = podAsking(c.address4, c.address6);
    const proxy = await mesh.proxy(pod, ["--privileges", privileges]);
    expect(await answering(pod, 53)).toEqual([c.address4, c.address6]);
    nameServers(pod, b.address6, b.address4);
    await proxy.says(/dns\] TCP port 53 of fd77::2, 10\.77\.0\.2 /);
    expect(await answering(pod, 53)).toEqual([b.address4, b.address6]);
    expect(proxy.output).not.toContain("policy]");
  },
);

test("external rules stay, and the log says what to do", async () => {
  const pod = podAsking(c.address4);
  await pod.run([...executable(), "rules", "--apply"]);
  const proxy = await mesh.proxy(pod, ["--rules", "external"]);
  nameServers(pod, b.address4);
  await proxy.says(/W\S+ .*dns\] \/etc\/resolv\.conf names other name servers.*Restart the proxy/);
  expect(await answering(pod, 53)).toEqual([c.address4]);
});

test("check, rules and why say what is left alone", async () => {
  const pod = podAsking(c.address4);
  const run = async (...args: readonly string[]): Promise<string> =>
    (await pod.run([...executable(), ...args])).stdout;
  expect(await run("check", ...flagsOf(mesh.credentials(pod)))).toContain(
    `✓ DNS over TCP: TCP port 53 of ${c.address4} (/etc/resolv.conf) is left alone`,
  );
  expect(await run("rules", "--print")).toContain(`elements = { ${c.address4} . 53 }`);
  expect(await run("rules", "--print", "--dns-tcp", "intercept")).not.toContain(". 53");
  expect(await run("why", `${c.address4}:53`)).toContain("a name server of ours");
});
