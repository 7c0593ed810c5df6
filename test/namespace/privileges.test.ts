/**
 * What a proxy may do once its rules are in place: all it started with, what relaying needs, or what it was given.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { repairProcessOf } from "../support/repair-process.ts";
import { rules } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod, type Running } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { metricOnce, readyz, readyzOnce } from "../support/status.ts";

const netRaw = 1n << 13n;
const netAdmin = 1n << 12n;
const netBindService = 1n << 10n;

/** A field of /proc/<pid>/status, for every thread. */
function statusOf({ pid }: Running, field: string): bigint {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const value = new RegExp(`^${field}:\\s+(\\S+)`, "m").exec(text)?.[1] ?? "";
  return field.startsWith("Cap") ? BigInt(`0x${value}`) : BigInt(value);
}

async function asked(from: Pod, to: Pod): Promise<string> {
  return (await curl(from, "--max-time", "3", `http://${to.address4}:8000/`)).output;
}

/** Starts both proxies with these options, and checks that a and b reach each other. */
async function pair(...options: readonly string[]): Promise<Mesh> {
  const mesh = Mesh.create();
  await mesh.startProxies(...options);
  await serveHttp(mesh.a, 8000, "from a");
  await serveHttp(mesh.b, 8000, "from b");
  return mesh;
}

test("dropped: only NET_RAW, and the right to reserved ports where they exist, remain for good", async () => {
  const mesh = Mesh.create();
  await mesh.a.run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0"]);
  await mesh.b.run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024"]);
  await mesh.startProxies("--privileges", "dropped");
  for (const pod of [mesh.a, mesh.b])
    await serveHttp(pod, 8000, pod === mesh.a ? "from a" : "from b");
  for (const [index, proxy] of mesh.proxies.entries()) {
    const left = index === 0 ? netRaw : netRaw | netBindService;
    for (const field of ["CapEff", "CapPrm", "CapInh", "CapAmb"])
      expect([field, statusOf(proxy, field)]).toEqual([field, left]);
    expect(statusOf(proxy, "NoNewPrivs")).toBe(1n);
    const environment = readFileSync(`/proc/${proxy.pid}/cmdline`, "utf8");
    expect(environment).toContain("--privileges\0dropped");
  }
  expect(await asked(mesh.a, mesh.b)).toBe("from b");
  expect(await asked(mesh.b, mesh.a)).toBe("from a");
  expect(await asked(mesh.c, mesh.b)).not.toContain("from b");
});

test("dropped: without the repair process changes to the rules are reported; other tables do not matter", async () => {
  const mesh = await pair("--privileges", "dropped");
  for (const proxy of mesh.proxies) process.kill(repairProcessOf(proxy), "SIGKILL");
  for (const proxy of mesh.proxies) await proxy.says(/the repair process has ended/);
  await mesh.a.run(["nft", "add", "table", "inet", "somebody"]);
  await mesh.a.run(["nft", "delete", "table", "inet", "somebody"]);
  expect(await asked(mesh.a, mesh.b)).toBe("from b");
  expect((await readyz(mesh.a)).status).toBe(200);
  await mesh.a.run(["nft", "flush", "ruleset"]);
  expect((await readyzOnce(mesh.a, 503)).text).toContain(
    "rules are no longer as they were written",
  );
  await mesh.b.run(["ip", "rule", "del", "priority", "100"]);
  await readyzOnce(mesh.b, 503);
});

test("dropped: the policy can change, with and without a change to the rules", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const options = [...policy.flags, "--privileges", "dropped"];
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, options));
  await serveHttp(mesh.b, 8000, "from b");
  policy.write("inbound: { allow: [] }");
  await metricOnce(
    mesh.b,
    'tproxy_policy_reloads_total{result="replaced"}',
    (count) => count === 1,
  );
  expect(await asked(mesh.a, mesh.b)).not.toContain("from b");
  policy.write("inbound: { mode: permissive }");
  await metricOnce(
    mesh.b,
    'tproxy_policy_reloads_total{result="replaced"}',
    (count) => count === 2,
  );
  expect(await asked(mesh.c, mesh.b)).toBe("from b");
  policy.write("{}");
  await metricOnce(
    mesh.b,
    'tproxy_policy_reloads_total{result="replaced"}',
    (count) => count === 3,
  );
  expect(await asked(mesh.c, mesh.b)).not.toContain("from b");
  expect(await asked(mesh.a, mesh.b)).toBe("from b");
});

test("dropped: a refused policy does not make missing rules look intact", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const proxy = await mesh.proxy(mesh.b, [...policy.flags, "--privileges", "dropped"]);
  process.kill(repairProcessOf(proxy), "SIGKILL");
  await proxy.says(/the repair process has ended/);
  await mesh.b.run(["nft", "flush", "ruleset"]);
  await readyzOnce(mesh.b, 503);
  policy.write("inbound: { mode: permissive }");
  await metricOnce(mesh.b, 'tproxy_policy_reloads_total{result="kept"}', (count) => count === 1);
  expect((await readyz(mesh.b)).status).toBe(503);
});

test("dropped: an environment of thousands of variables is preserved", async () => {
  const mesh = Mesh.create();
  const many = Array.from({ length: 3000 }, (_, at) => `SERVICE_${at}_PORT=${at}`);
  const proxy = await mesh.b.proxy(
    [...flagsOf(mesh.credentials(mesh.b)), "--privileges", "dropped"],
    ["env", ...many],
  );
  const environment = readFileSync(`/proc/${proxy.pid}/environ`, "utf8").split("\0");
  expect(environment.filter((one) => one.startsWith("SERVICE_"))).toEqual(many);
});

test("dropped: after the end the rules stay, nothing passes in cleartext, and the next start adopts them", async () => {
  const mesh = await pair("--privileges", "dropped");
  expect(await mesh.proxies[1]?.end()).toBe(0);
  expect(await asked(mesh.c, mesh.b)).not.toContain("from b");
  await mesh.proxy(mesh.b, ["--privileges", "dropped"]);
  expect(await asked(mesh.a, mesh.b)).toBe("from b");
});

test("dropped: connections that arrive during the re-execution are served", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  await serveHttp(mesh.b, 8000, "from b");
  const flags = [...flagsOf(mesh.credentials(mesh.b)), "--privileges", "dropped"];
  const proxy = mesh.b.start([...executable(), ...flags]);
  const answers: string[] = [];
  while (!proxy.output.includes("] ready")) answers.push(await asked(mesh.a, mesh.b));
  answers.push(await asked(mesh.a, mesh.b));
  // Until the rules are in place, no listener speaks TLS here. After the first answer, every request is answered.
  const first = answers.indexOf("from b");
  expect(answers.slice(first).every((answer) => answer === "from b")).toBe(true);
});

test.each([
  [
    ["--privileges", "dropped", "--remove-rules-on-exit"],
    /--remove-rules-on-exit requires --privileges kept/,
  ],
  [["--privileges", "dropped", "--confirm", "5s"], /--confirm requires --privileges kept/],
  [
    ["--rules", "external", "--confirm", "5s"],
    /--confirm cannot be combined with --rules external/,
  ],
  [["--rules", "external", "--privileges", "dropped"], /give the container NET_RAW alone/],
  [["--privileges", "some"], /kept or dropped/],
] as const)("%j is an error with a message", async (options, says) => {
  const mesh = Mesh.create();
  const flags = flagsOf(mesh.credentials(mesh.a));
  const { code, stderr } = await mesh.a.run([...executable(), ...flags, ...options]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(says)]);
});

test("dropped: a failed start leaves nothing behind", async () => {
  const mesh = Mesh.create();
  await mesh.a.agent.listen("127.0.0.1", 15_020);
  const flags = [...flagsOf(mesh.credentials(mesh.a)), "--privileges", "dropped"];
  const { code } = await mesh.a.run([
    ...executable(),
    ...flags,
    "--status-address",
    "127.0.0.1:15020",
  ]);
  expect(code).toBe(1);
  expect((await mesh.a.run(["nft", "list", "ruleset"])).stdout).toBe("");
});

/** Like a container of an ordinary user with this one capability. */
const netRawOnly = [
  "setpriv",
  "--reuid=65532",
  "--clear-groups",
  "--inh-caps=-all,+net_raw,+net_bind_service",
  "--ambient-caps=-all,+net_raw,+net_bind_service",
  "--bounding-set=-all,+net_raw,+net_bind_service",
];

test("external: the rules come from an init container, and the proxy may not change them", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  await serveHttp(mesh.b, 8000, "from b");
  await rules(mesh.b, "--apply");
  const paths = mesh.credentials(mesh.b);
  await mesh.b.run(["chown", "-R", "65532", paths.directory]);
  const options = [...flagsOf(paths), "--rules", "external"];
  const proxy = await mesh.b.proxy(options, netRawOnly);
  expect(statusOf(proxy, "CapEff") & netAdmin).toBe(0n);
  expect(await asked(mesh.a, mesh.b)).toBe("from b");
  expect(await asked(mesh.b, mesh.a)).not.toContain("from b");
  expect(await asked(mesh.c, mesh.b)).not.toContain("from b");
  expect((await readyz(mesh.b)).status).toBe(200);
  await mesh.b.run(["ip", "rule", "del", "priority", "100"]);
  await readyzOnce(mesh.b, 503);
  expect(await proxy.end()).toBe(0);
});

test("external: without rules it refuses to start, and says who must apply them", async () => {
  const mesh = Mesh.create();
  const flags = [...flagsOf(mesh.credentials(mesh.a)), "--rules", "external"];
  const { code, stderr } = await mesh.a.run([...executable(), ...flags]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/rules --apply, in an init container/)]);
});
