/** A policy change that needs new rules, after the proxy has dropped its privileges. */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { childrenOf, launcherOf, statusOf } from "../support/repair-process.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { metricOnce } from "../support/status.ts";

const replaced = 'tproxy_policy_reloads_total{result="replaced"}';
const kept = 'tproxy_policy_reloads_total{result="kept"}';

/** Pod b serves with a policy; c has no proxy. */
async function stage(): Promise<{ mesh: Mesh; policy: PolicyFile; proxy: Running }> {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  const proxy = await mesh.proxy(mesh.b, [...policy.flags, "--privileges", "dropped"]);
  mesh.proxies.push(proxy);
  await serveHttp(mesh.b, 8000, "served");
  return { mesh, policy, proxy };
}

async function ask(from: Pod, to: Pod): Promise<string> {
  return (await curl(from, "--max-time", "3", `http://${to.address4}:8000/`)).output;
}

test("modes change from strict to permissive, to passthrough, and back", async () => {
  const { mesh, policy } = await stage();
  expect(await ask(mesh.c, mesh.b)).not.toContain("served");
  policy.write("inbound: { mode: permissive }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(await ask(mesh.c, mesh.b)).toBe("served");
  policy.write("inbound: { ports: { 8000: { mode: passthrough } } }");
  await metricOnce(mesh.b, replaced, (count) => count === 2);
  expect(await ask(mesh.c, mesh.b)).toBe("served");
  policy.write("{}");
  await metricOnce(mesh.b, replaced, (count) => count === 3);
  expect(await ask(mesh.c, mesh.b)).not.toContain("served");
  // Changes by others are repaired with the current rules.
  await mesh.b.run(["nft", "flush", "ruleset"]);
  await metricOnce(mesh.b, "tproxy_rules_repairs_total", (count) => count === 1);
  expect(await ask(mesh.c, mesh.b)).not.toContain("served");
});

test("without its launcher the old policy stays, and the log says why", async () => {
  const { mesh, policy, proxy } = await stage();
  const launcher = launcherOf(proxy);
  for (const field of ["CapEff", "CapPrm"])
    expect([field, statusOf(launcher, field)]).toEqual([field, "0000000000001000"]);
  expect(Number(statusOf(launcher, "RssAnon"))).toBeLessThan(256);
  expect(readFileSync(`/proc/${launcher}/oom_score_adj`, "latin1")).toBe("1000\n");
  process.kill(launcher, "SIGKILL");
  await proxy.says(/W\S+ .*rules\] the launcher of the repair process has ended/);
  while (childrenOf(proxy.pid).length > 1) await Bun.sleep(1);
  policy.write("inbound: { mode: permissive }");
  await metricOnce(mesh.b, kept, (count) => count === 1);
  await proxy.says(/W\S+ .*policy\] the old one stays in use: .*its launcher has ended/);
  expect(await ask(mesh.c, mesh.b)).not.toContain("served");
  policy.write("inbound: { allow: [] }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
});

test("a process that reads the rules leaves nothing of itself behind", async () => {
  const { mesh, policy, proxy } = await stage();
  const launcher = launcherOf(proxy);
  policy.write("inbound: { mode: permissive }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(childrenOf(launcher)).toEqual([]);
  expect(childrenOf(proxy.pid)).toHaveLength(2);
  expect(readFileSync(`/proc/${launcher}/status`, "latin1")).toMatch(/^State:\s+S/m);
  expect(Number(statusOf(launcher, "RssAnon"))).toBeLessThan(256);
});

test("while its launcher is stopped the old policy stays; the new one is applied when it continues", async () => {
  const { mesh, policy, proxy } = await stage();
  const launcher = launcherOf(proxy);
  process.kill(launcher, "SIGSTOP");
  policy.write("inbound: { mode: permissive }");
  await proxy.says(/W\S+ .*policy\] the old one stays in use: .*takes too long/);
  expect(await ask(mesh.c, mesh.b)).not.toContain("served");
  process.kill(launcher, "SIGCONT");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(await ask(mesh.c, mesh.b)).toBe("served");
});

/** Root with the proxy's only capability. */
const likeProxy = "setpriv --bounding-set -all,+net_raw --inh-caps -all,+net_raw".split(" ");

/** The process that the launcher has just started, stopped as soon as it has executed its own program. */
function stoppedReader(launcher: number): number {
  for (;;) {
    const [reader] = childrenOf(launcher);
    if (reader === undefined || commandOf(reader) === commandOf(launcher)) continue;
    process.kill(reader, "SIGSTOP");
    return reader;
  }
}

test("if the process that reads the rules fails, the log contains its reason", async () => {
  const { policy, proxy } = await stage();
  const launcher = launcherOf(proxy);
  policy.write("inbound: { mode: permissive }");
  process.kill(stoppedReader(launcher), "SIGKILL");
  await proxy.says(
    /W\S+ .*policy\] the old one stays in use: .*it has failed: it was ended by signal 9\. /,
  );
  policy.write("inbound: { mode: audit }");
  const reader = stoppedReader(launcher);
  policy.write("inbound: { mode: sometimes }");
  process.kill(reader, "SIGCONT");
  await proxy.says(
    /W\S+ .*policy\] .*it has failed: \S+policy\.yaml: line 1, inbound\.mode: "sometimes"/,
  );
});

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")[0] ?? "";
}

test("other processes of the proxy's user can trace neither the launcher nor what it starts", async () => {
  const { mesh, policy, proxy } = await stage();
  const look = async (pid: number): Promise<string> => {
    const script = "for name in mem maps environ; do head -c 0 /proc/$1/$name && echo $name; done";
    return (await mesh.b.run([...likeProxy, "sh", "-c", script, "-", String(pid)])).stdout;
  };
  const launcher = launcherOf(proxy);
  policy.write("inbound: { mode: permissive }");
  const reader = stoppedReader(launcher);
  // Control: a process with no more capabilities than the proxy.
  const other = mesh.b.start([...likeProxy, "sleep", "1000"]);
  while (commandOf(other.pid) !== "sleep") await Bun.sleep(1);
  expect((await look(other.pid)).split("\n")).toContain("mem");
  for (const pid of [launcher, reader]) expect([pid, await look(pid)]).toEqual([pid, ""]);
  process.kill(reader, "SIGCONT");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
});
