/** A pod whose own address is in no mesh range would be unprotected: the proxy refuses to start, and says so. */
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { kernelState } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Output, type Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { metricOnce } from "../support/status.ts";

const mesh = Mesh.create();
const { c } = mesh;
/** RFC 3849, and an IPv4 host outside the private ranges: RFC 5737. */
const public6 = "2001:db8:77::3";
const public4 = "203.0.113.3";

beforeAll(async () => {
  await c.run(["ip", "addr", "add", `${public6}/64`, "dev", "eth0", "nodad"]);
  await c.run(["ip", "addr", "add", `${public4}/24`, "dev", "eth0"]);
  await serveHttp(c, 8080, "in clear");
  await serveHttp(c, 8081, "in clear");
});

/** A pod with a public IPv6 or IPv4 address instead of the private one. */
async function podOf(family: 4 | 6): Promise<Pod> {
  const pod = mesh.extraPod();
  const [, host = ""] = /(\d+)$/.exec(pod.address4) ?? [];
  const old = family === 4 ? `${pod.address4}/24` : `${pod.address6}/64`;
  // As clouds configure pods: only the pod's own address, and a route.
  const address = family === 4 ? `203.0.113.${host}/32` : `2001:db8:77::${host}/128`;
  const route = family === 4 ? "203.0.113.0/24" : "2001:db8:77::/64";
  await pod.run(["ip", "addr", "del", old, "dev", "eth0"]);
  await pod.run(["ip", "addr", "add", address, "dev", "eth0", ...(family === 6 ? ["nodad"] : [])]);
  await pod.run(["ip", "route", "add", route, "dev", "eth0"]);
  return pod;
}

async function start(pod: Pod, ...options: readonly string[]): Promise<Output> {
  return await pod.run([...executable(), ...flagsOf(mesh.credentials(pod)), ...options]);
}

async function asked(pod: Pod, host: string, port = 8080): Promise<string> {
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
  return (await pod.run(["curl", "--silent", "--max-time", "5", url])).stdout;
}

test.each([
  [6, public6, "--mesh-cidr default,2001:db8:77::/48"],
  [4, public4, "--mesh-cidr default,203.0.0.0/16"],
] as const)(
  "a pod with a public IPv%d address: refused without changes; protected with the option that is printed",
  async (family, peer, option) => {
    const pod = await podOf(family);
    const before = await kernelState(pod);
    const { code, stderr } = await start(pod);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`: ${option} (`)]);
    expect(await kernelState(pod)).toBe(before);
    expect(await asked(pod, peer)).toBe("in clear");
    await mesh.proxy(pod, option.split(" "));
    expect(await asked(pod, peer)).toBe("");
  },
);

test("check says the same, and rules --apply changes nothing", async () => {
  const pod = await podOf(6);
  const before = await kernelState(pod);
  const check = await pod.run([...executable(), "check"]);
  const option = "--mesh-cidr default,2001:db8:77::/48 ";
  expect([check.code, check.stdout]).toEqual([1, expect.stringContaining(option)]);
  const apply = await pod.run([...executable(), "rules", "--apply"]);
  expect([apply.code, apply.stderr]).toEqual([2, expect.stringContaining(option)]);
  expect(await kernelState(pod)).toBe(before);
});

test("a range that replaces the private ones and so omits the other family is refused", async () => {
  const pod = await podOf(6);
  const { code, stderr } = await start(pod, "--mesh-cidr", "2001:db8::/32");
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining("--mesh-cidr 2001:db8::/32,10.77.0.0/24 "),
  ]);
  await mesh.proxy(pod, ["--mesh-cidr", "2001:db8::/32", "--exclude-cidr", "0.0.0.0/0"]);
  expect([await asked(pod, public6), await asked(pod, c.address4)]).toEqual(["", "in clear"]);
});

test("an unprotected address beside the private one is reported, and does not prevent the start", async () => {
  const pod = mesh.extraPod();
  await pod.run(["ip", "addr", "add", "203.0.113.99/24", "dev", "eth0"]);
  const proxy = await mesh.proxy(pod);
  await proxy.says(/W\S+ .*configuration\] no mesh range .*203\.0\.113\.99 \(eth0\)/);
  const check = await pod.run([...executable(), "check"]);
  expect([check.code, check.stdout]).toEqual([0, expect.stringContaining("! mesh: no mesh range")]);
});

test("on a host the configured ranges are enough", async () => {
  const pod = await podOf(6);
  const scope = ["--host", "--mesh-cidr", "10.88.0.0/16", "--inbound-port", "none"];
  const proxy = await mesh.proxy(pod, scope);
  expect(proxy.output).not.toContain("no mesh range");
});

test("a policy that excludes the pod's own address is refused", async () => {
  const pod = mesh.extraPod();
  const policy = new PolicyFile('outbound: { mesh: [10.0.0.0/8, "fd00::/8"] }');
  const proxy = await mesh.proxy(pod, policy.flags);
  expect(await asked(pod, c.address6)).toBe("");
  policy.write("outbound: { mesh: [10.0.0.0/8] }");
  await proxy.says(
    /W\S+ .*the old one stays in use: .*outbound\.mesh: \[10\.0\.0\.0\/8, "fd77::\/64"\]/,
  );
  expect(await asked(pod, c.address6)).toBe("");
  policy.write('outbound: { mesh: [default, "2001:db8::/32"] }');
  await metricOnce(pod, 'tproxy_policy_reloads_total{result="replaced"}', (count) => count === 1);
  expect([await asked(pod, c.address6), await asked(pod, c.address4)]).toEqual(["", ""]);
});

test("--api-server leaves these addresses alone at their port, for both families", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod, ["--api-server", `${c.address4}:8081,[${c.address6}]:8081`]);
  for (const host of [c.address4, c.address6])
    expect([await asked(pod, host), await asked(pod, host, 8081)]).toEqual(["", "in clear"]);
});

test("an API server that the environment gives as a name is reported", async () => {
  const pod = mesh.extraPod();
  const environment = [
    "env",
    "KUBERNETES_SERVICE_HOST=api.example.org",
    "KUBERNETES_SERVICE_PORT=443",
  ];
  const { stdout } = await pod.run([...environment, ...executable(), "check"]);
  expect(stdout).toMatch(/! API server: .*api\.example\.org.*\n.*--api-server/);
});
