/** The repair process: it restores the rules of a proxy that has dropped its privileges. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "bun:test";

import { kernelState } from "../support/kernel-state.ts";
import { repairProcessOf, statusOf } from "../support/repair-process.ts";
import { Mesh } from "../support/mesh.ts";
import { metricOnce, metrics, readyz } from "../support/status.ts";

const mesh = Mesh.create();
const dropped = ["--privileges", "dropped"];

test("the repair process holds NET_ADMIN, its sockets and a tenth of a megabyte, and no secret", async () => {
  const proxy = await mesh.proxy(mesh.extraPod(), dropped);
  const repairer = repairProcessOf(proxy);
  for (const field of ["CapEff", "CapPrm", "CapInh", "CapAmb"])
    expect([field, statusOf(repairer, field)]).toEqual([field, "0000000000001000"]);
  expect([statusOf(repairer, "NoNewPrivs"), statusOf(repairer, "Seccomp")]).toEqual(["1", "2"]);
  expect(Number(statusOf(repairer, "RssAnon"))).toBeLessThan(256);
  const fds = readdirSync(`/proc/${repairer}/fd`);
  const targets = fds.map((fd) => readlinkSync(`/proc/${repairer}/fd/${fd}`));
  expect(targets.filter((target) => !target.startsWith("socket:["))).toEqual([]);
  expect(targets).toHaveLength(7);
  expect(readFileSync(`/proc/${repairer}/environ`, "latin1")).toBe("");
  expect(readFileSync(`/proc/${repairer}/cmdline`, "latin1")).toBe("tls-tproxy-repair\0");
});

test("the proxy, although of the same user, can neither trace the repair process nor read its memory", async () => {
  const proxy = await mesh.proxy(mesh.extraPod(), dropped);
  const repairer = repairProcessOf(proxy);
  // Like the proxy: root with NET_RAW as the only capability.
  const as = ["setpriv", "--inh-caps=-all,+net_raw", "--bounding-set=-all,+net_raw"];
  for (const file of ["mem", "environ", "maps"]) {
    const { code, stderr } = await mesh.c.run([...as, "cat", `/proc/${repairer}/${file}`]);
    expect([file, code, stderr]).toEqual([file, 1, expect.stringContaining("denied") as string]);
  }
});

test("connections open before the start continue after others have changed the rules", async () => {
  const own = Mesh.create();
  const listener = await own.c.agent.listen("0.0.0.0", 8080);
  const client = await own.a.agent.connect(own.c.address4, 8080);
  const server = await listener.accept();
  await own.proxy(own.a, [...dropped, "--preexisting", "leave"]);
  await own.a.run(["nft", "insert", "rule", "inet", "tls-tproxy", "output", "accept"]);
  await metricOnce(own.a, "tproxy_rules_repairs_total", (count) => count === 1);
  await own.a.run(["nft", "add", "chain", "inet", "tls-tproxy", "other"]);
  await metricOnce(own.a, "tproxy_rules_repairs_total", (count) => count === 2);
  await client.say("still here");
  expect((await server.received(10)).text).toBe("still here");
});

test("cleartext connections that began while the rules were missing are reset", async () => {
  const own = Mesh.create();
  const proxy = await own.proxy(own.a, dropped);
  const listener = await own.c.agent.listen("0.0.0.0", 8080);
  // A stopped repair process cannot restore the rules meanwhile.
  const repairer = repairProcessOf(proxy);
  process.kill(repairer, "SIGSTOP");
  await own.a.run(["nft", "flush", "ruleset"]);
  const client = await own.a.agent.connect(own.c.address4, 8080);
  await listener.accept();
  process.kill(repairer, "SIGCONT");
  expect((await client.finish()).ending).toBe("ECONNABORTED");
  await proxy.says(/and 1 connections that had started in (clear|cleartext) were reset/);
});

test("a connection through the mesh survives twenty flushes", async () => {
  const own = Mesh.create();
  await own.startProxies(...dropped);
  const { client, server } = await own.connection();
  for (let round = 1; round <= 20; round += 1) {
    await own.a.run(["nft", "flush", "ruleset"]);
    await metricOnce(own.a, "tproxy_rules_repairs_total", (count) => count === round);
    await client.say("round");
    expect((await server.received(5 * round)).bytes).toBe(5 * round);
  }
});

test("a signal to all processes reaches only the proxy; then the repair process resets what is diverted", async () => {
  const own = Mesh.create();
  const proxy = await own.proxy(own.a, dropped);
  await own.c.agent.listen("0.0.0.0", 8080);
  const repairer = repairProcessOf(proxy);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(repairer, signal);
  await own.a.run(["nft", "flush", "ruleset"]);
  await metricOnce(own.a, "tproxy_rules_repairs_total", (count) => count === 1);
  expect(await proxy.end()).toBe(0);
  while (existsNow(repairer)) await Bun.sleep(1);
  const { code } = await own.a.run(["curl", "--silent", `http://${own.c.address4}:8080/`]);
  // CURLE_COULDNT_CONNECT at once: a dropped packet would make curl wait.
  expect(code).toBe(7);
});

test("killing the proxy also ends the repair process, and the rules stay", async () => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod, dropped);
  const repairer = repairProcessOf(proxy);
  const before = await kernelState(pod);
  await proxy.end("SIGKILL");
  while (existsNow(repairer)) await Bun.sleep(1);
  expect(await kernelState(pod)).toBe(before);
});

test("a killed repair process leaves no zombie, and the proxy continues", async () => {
  const own = Mesh.create();
  await own.startProxies(...dropped);
  const [proxy] = own.proxies;
  if (proxy === undefined) throw new Error("no proxy");
  process.kill(repairProcessOf(proxy), "SIGKILL");
  await proxy.says(/W\S+ .*rules\] the repair process has ended/);
  while (readFileSync(`/proc/${proxy.pid}/task/${proxy.pid}/children`, "latin1") !== "")
    await Bun.sleep(1);
  const { client, server } = await own.connection();
  await client.say("on");
  expect((await server.received(2)).text).toBe("on");
  expect((await readyz(own.a)).text).toMatch(/^ready\nthe repair process has ended/);
  expect((await metrics(own.a)).get("tproxy_repair_process_alive")).toBe(0);
});

test.each([
  ["a valid start", "0"],
  ["another table", "22"],
  ["a route of others", "22"],
  ["no rules", "22"],
  ["other rules after sealing", "end"],
  ["sealing twice", "end"],
  ["a nonexistent state", "end"],
  ["states before sealing", "end"],
  ["a body that never ends", "end"],
  ["a socket that is not TCP", "22"],
  ["an adopt without prepared rules", "22"],
  ["a prepare without a launcher", "no launcher"],
  ["a message of the launcher", "end"],
  ["an adopt before sealing", "end"],
])("given %s, it answers %s and leaves other rules alone", async (what, answer) => {
  const pod = mesh.extraPod();
  await pod.run(["nft", "add", "table", "inet", "other"]);
  const script = `${import.meta.dir}/../support/repair-teller.ts`;
  const { stdout, stderr } = await pod.run(["bun", script, what]);
  expect([stdout.trim(), stderr]).toEqual([answer, ""]);
  expect((await pod.run(["nft", "list", "tables"])).stdout).toContain("table inet other");
  expect((await pod.run(["ip", "route", "show", "192.0.2.0/24"])).stdout).toBe("");
});

function existsNow(pid: number): boolean {
  try {
    // A zombie that its new parent has not reaped yet counts as gone.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
