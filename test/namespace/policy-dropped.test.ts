/** A policy whose change the kernel has a part in, where the proxy has given up its privileges. */
import { readFileSync } from "node:fs";
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { childrenOf, launcherOf, statusOf } from "../support/keeper.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { metricOnce } from "../support/status.ts";

const replaced = 'policy_reloads_total{result="replaced"}';
const kept = 'policy_reloads_total{result="kept"}';

/** Pod b serves, with a policy; c has no proxy. */
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

test("modes change: from strict to permissive, to passthrough and back", async () => {
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
  // Others' changes are answered with the rules of now.
  await mesh.b.run(["nft", "flush", "ruleset"]);
  await metricOnce(mesh.b, "rules_repairs_total", (count) => count === 1);
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
  await proxy.says(/W\S+ .*rules\] the launcher of the keeper has ended/);
  while (childrenOf(proxy.pid).length > 1) await Bun.sleep(1);
  policy.write("inbound: { mode: permissive }");
  await metricOnce(mesh.b, kept, (count) => count === 1);
  await proxy.says(/W\S+ .*policy\] the old one stays in use: .*what starts it has ended/);
  expect(await ask(mesh.c, mesh.b)).not.toContain("served");
  policy.write("inbound: { allow: [] }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
});

test("a process that reads the rules leaves none of itself behind", async () => {
  const { mesh, policy, proxy } = await stage();
  const launcher = launcherOf(proxy);
  policy.write("inbound: { mode: permissive }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(childrenOf(launcher)).toEqual([]);
  expect(childrenOf(proxy.pid)).toHaveLength(2);
  expect(readFileSync(`/proc/${launcher}/status`, "latin1")).toMatch(/^State:\s+S/m);
  expect(Number(statusOf(launcher, "RssAnon"))).toBeLessThan(256);
});
