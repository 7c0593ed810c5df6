/** On a plain host only the configured ports are captured, and a capture by mistake is undone. */
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { kernelState } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Output, type Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { metricOnce } from "../support/status.ts";

const mesh = Mesh.create();
const { c } = mesh;

beforeAll(async () => {
  await serveHttp(c, 8080, "in clear");
});

/** A namespace that stands for the host: ssh's port, an application's port, and no other rules. */
async function host(): Promise<Pod> {
  const pod = mesh.extraPod();
  await serveHttp(pod, 22, "ssh");
  await serveHttp(pod, 8080, "application");
  return pod;
}

async function start(pod: Pod, ...options: readonly string[]): Promise<Output> {
  return await pod.run([...executable(), ...flagsOf(mesh.credentials(pod)), "--host", ...options]);
}

async function asked(
  from: Pod,
  to: Pod,
  port: number,
  prefix: readonly string[] = [],
): Promise<string> {
  const url = `http://${to.address4}:${port}/`;
  return (await from.run([...prefix, "curl", "--silent", "--max-time", "5", url])).stdout;
}

function as(uid: number): readonly string[] {
  return ["setpriv", `--reuid=${uid}`, "--clear-groups"];
}

const text = (inbound: string): string =>
  `outbound: { mesh: [10.77.0.0/24] }\ninbound: { ${inbound} }`;
const range = ["--mesh-cidr", "10.77.0.0/24"];
const scope = [...range, "--inbound-port", "8080"];

test.each([
  ["no scope", [], /lock everyone out.*--mesh-cidr \(or --only-uid\) and --inbound-port/],
  ["no inbound port", range, /lock everyone out/],
  ["no range", ["--inbound-port", "8080"], /lock everyone out/],
  ["ssh's port", [...range, "--inbound-port", "22"], /would close ssh.*--confirm 60s/],
] as const)("with %s it refuses to start, and changes nothing", async (_, options, says) => {
  const pod = mesh.extraPod();
  const before = await kernelState(pod);
  const { code, stderr } = await start(pod, ...options);
  expect([code, stderr]).toEqual([2, expect.stringMatching(says)]);
  expect(await kernelState(pod)).toBe(before);
});

test("the port of the login session is known from the environment", async () => {
  const pod = mesh.extraPod();
  const session = ["env", "SSH_CONNECTION=10.0.0.9 5022 10.0.0.1 2222"];
  const flags = [...flagsOf(mesh.credentials(pod)), "--host", ...range, "--inbound-port", "2222"];
  const { code, stderr } = await pod.run([...session, ...executable(), ...flags]);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining("--inbound-port 2222 would close ssh"),
  ]);
});

test("the configured port is protected; everything else is unchanged, before and after the end", async () => {
  const pod = await host();
  const before = await kernelState(pod);
  const proxy = await mesh.proxy(pod, ["--host", ...scope]);
  expect(await asked(c, pod, 22)).toBe("ssh");
  expect(await asked(c, pod, 8080)).toBe("");
  expect(await asked(pod, c, 8080)).toBe("");
  const { certificate, key } = mesh.credentials(c);
  const own = ["-k", "--cert", certificate, "--key", key];
  expect((await curl(c, ...own, `https://${pod.address4}:8080/`)).output).toBe("application");
  expect(await proxy.end()).toBe(0);
  expect(await kernelState(pod)).toBe(before);
  expect(await asked(c, pod, 8080)).toBe("application");
});

test("--inbound-port none: outbound only", async () => {
  const pod = await host();
  await mesh.proxy(pod, ["--host", ...range, "--inbound-port", "none"]);
  expect([await asked(c, pod, 22), await asked(c, pod, 8080)]).toEqual(["ssh", "application"]);
  expect(await asked(pod, c, 8080)).toBe("");
});

test("--only-uid: only this user's connections are diverted", async () => {
  const pod = await host();
  await mesh.proxy(pod, ["--host", "--only-uid", "4242", "--inbound-port", "none"]);
  expect(await asked(pod, c, 8080, as(4242))).toBe("");
  expect(await asked(pod, c, 8080, as(4243))).toBe("in clear");
  expect(await asked(pod, c, 8080)).toBe("in clear");
  expect(await asked(c, pod, 22)).toBe("ssh");
});

test("--only-uid: this user reaches a peer that has a proxy, others do not", async () => {
  const [pod, peer] = [await host(), mesh.extraPod()];
  await mesh.proxy(peer);
  await serveHttp(peer, 8080, "by mutual TLS");
  await mesh.proxy(pod, ["--host", "--only-uid", "4242", "--inbound-port", "none"]);
  expect(await asked(pod, peer, 8080, as(4242))).toBe("by mutual TLS");
  expect(await asked(pod, peer, 8080)).toBe("");
});

test("--confirm: without confirmation the rules are removed and the proxy ends", async () => {
  const pod = await host();
  const before = await kernelState(pod);
  const trial = [...range, "--inbound-port", "22", "--confirm", "500ms"];
  const proxy = await mesh.proxy(pod, ["--host", ...trial]);
  expect(await proxy.child.exited).toBe(1);
  await proxy.says(/E\S+ .*no confirmation within 500ms: the rules are removed/);
  expect(await kernelState(pod)).toBe(before);
  expect(await asked(c, pod, 22)).toBe("ssh");
});

test("--confirm: after confirmation the rules stay; a second one changes nothing, a late one fails", async () => {
  const pod = await host();
  const trial = [...range, "--inbound-port", "22", "--confirm", "1h"];
  const proxy = await mesh.proxy(pod, ["--host", ...trial]);
  const confirm = [...executable(), "confirm"];
  for (let turn = 0; turn < 2; turn += 1) {
    const { code, stdout } = await pod.run(confirm);
    expect([code, stdout]).toEqual([0, `confirmed: process ${proxy.pid} keeps its rules\n`]);
  }
  await proxy.says(/trial is over/);
  expect(await asked(c, pod, 22)).toBe("");
  expect(await proxy.end()).toBe(0);
  const { code, stderr } = await pod.run(confirm);
  expect([code, stderr]).toEqual([1, expect.stringContaining("no proxy of yours listens")]);
});

test("confirm does not kill a proxy that waits for no confirmation", async () => {
  const pod = await host();
  const proxy = await mesh.proxy(pod, ["--host", ...scope]);
  const { code, stderr } = await pod.run([...executable(), "confirm"]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("started without --confirm")]);
  expect(proxy.child.exitCode).toBeNull();
});

test("after a trial, a policy that would close ssh is refused like one without a trial", async () => {
  const pod = await host();
  const policy = new PolicyFile(text("mode: passthrough, ports: { 8080: { mode: strict } }"));
  const flags = [...flagsOf(mesh.credentials(pod)), "--host", ...policy.flags];
  const proxy = await pod.proxy([...flags, "--confirm", "60s"]);
  expect((await pod.run([...executable(), "confirm"])).code).toBe(0);
  policy.write(text("mode: strict"));
  await proxy.says(/policy\] the old one stays in use: port 22 \(\S+:2\) would close ssh/);
  expect(await asked(c, pod, 22)).toBe("ssh");
});

test("a policy file is also a scope, and one that would close ssh is refused at start and at reload", async () => {
  const pod = await host();
  const policy = new PolicyFile(text("mode: strict"));
  const refused = await start(pod, ...policy.flags);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/port 22 .*close ssh/)]);
  policy.write(text("mode: passthrough, ports: { 8080: { mode: strict } }"));
  const flags = [...flagsOf(mesh.credentials(pod)), "--host", ...policy.flags];
  const proxy = await pod.proxy(flags);
  expect(await asked(c, pod, 22)).toBe("ssh");
  expect(await asked(c, pod, 8080)).toBe("");
  policy.write(text("mode: strict"));
  await proxy.says(/policy\] the old one stays in use: port 22 \(\S+:2\) would close ssh/);
  expect(await asked(c, pod, 22)).toBe("ssh");
});

/** As systemd starts a unit with User= and AmbientCapabilities=. */
const asService = [
  "setpriv",
  "--reuid=65532",
  "--regid=65532",
  "--clear-groups",
  "--no-new-privs",
  "--inh-caps=-all,+net_admin,+net_raw,+net_bind_service",
  "--ambient-caps=-all,+net_admin,+net_raw,+net_bind_service",
  "--bounding-set=-all,+net_admin,+net_raw,+net_bind_service",
];

test("as a service of an ordinary user with ambient capabilities it works the same", async () => {
  const pod = await host();
  const before = await kernelState(pod);
  const peer = mesh.extraPod();
  await serveHttp(peer, 8080, "the peer");
  await mesh.proxy(peer);
  const paths = mesh.credentials(pod);
  await pod.run(["chown", "-R", "65532", paths.directory]);
  const scoped = ["--host", ...range, "--only-uid", "1001", "--inbound-port", "8080"];
  const proxy = await pod.proxy([...flagsOf(paths), ...scoped], asService);
  expect(await asked(pod, peer, 8080, as(1001))).toBe("the peer");
  expect(await asked(c, pod, 22)).toBe("ssh");
  expect(await asked(c, pod, 8080)).toBe("");
  expect(await proxy.end()).toBe(0);
  expect(await kernelState(pod)).toBe(before);
});

test("with --inbound-port a mode in the file applies to these ports, and the others stay open", async () => {
  const pod = await host();
  const policy = new PolicyFile("inbound: { mode: audit }");
  const proxy = await mesh.proxy(pod, ["--host", ...scope, ...policy.flags]);
  expect([await asked(c, pod, 22), await asked(c, pod, 8080)]).toEqual(["ssh", "application"]);
  await proxy.says(/Plaintext connection from .* to .*8080/);
  expect(proxy.output).not.toMatch(/Plaintext connection from .* to .*:22\b/);
  policy.write("inbound: { mode: strict }");
  await metricOnce(pod, 'tproxy_policy_reloads_total{result="replaced"}', (count) => count === 1);
  expect([await asked(c, pod, 22), await asked(c, pod, 8080)]).toEqual(["ssh", ""]);
});

test("a Service named tproxy-tcp does not prevent the start, and an unknown setting is reported", async () => {
  const pod = await host();
  const environment = ["TPROXY_TCP_PORT=tcp://10.96.3.4:8080", "TPROXY_MESH_CIDRS=10.0.0.0/8"];
  const flags = [...flagsOf(mesh.credentials(pod)), "--host", ...scope];
  const proxy = await pod.proxy(flags, ["env", ...environment]);
  await proxy.says(/W\S+ .*configuration\] TPROXY_MESH_CIDRS is not a setting.*TPROXY_MESH_CIDR\?/);
  await proxy.says(/W\S+ .*configuration\] TPROXY_TCP_PORT is ignored.*enableServiceLinks: false/);
});

test("on a host check refuses what the start refuses: ssh's port without --confirm", async () => {
  const pod = mesh.extraPod();
  const options = ["--host", ...range, "--inbound-port", "22"];
  const { code, stdout } = await pod.run([...executable(), "check", ...options]);
  expect([code, stdout]).toEqual([1, expect.stringContaining("would close ssh")]);
});
