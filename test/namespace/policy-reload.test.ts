/**
 * A changed policy applies at once to the rules, to new connections and to live ones; an invalid one changes nothing.
 */
import { expect, test } from "bun:test";

import { hungMs } from "../support/deadline.ts";
import { serveHttp } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { curl } from "../support/programs.ts";
import { metricOnce } from "../support/status.ts";

const replaced = 'tproxy_policy_reloads_total{result="replaced"}';
const kept = 'tproxy_policy_reloads_total{result="kept"}';
const revoked = (direction: string): string =>
  `tproxy_tcp_close_total{direction="${direction}",how="revoked"}`;
const idOf = (pod: Pod): string => `spiffe://test.example/host/${pod.address4}`;

/** A mesh with a policy for pod b. */
async function meshWith(text: string): Promise<{ mesh: Mesh; policy: PolicyFile }> {
  const mesh = Mesh.create();
  const policy = new PolicyFile(text);
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, policy.flags));
  await serveHttp(mesh.b, 8000, "served");
  return { mesh, policy };
}

async function ask(from: Pod, to: Pod, port = 8000): Promise<string> {
  return (await curl(from, "--max-time", "3", `http://${to.address4}:${port}/`)).output;
}

test("a peer that is no longer allowed is refused, and its live connections are reset and counted", async () => {
  const { mesh, policy } = await meshWith("{}");
  const other = mesh.extraPod();
  await mesh.proxy(other);
  const lost = await mesh.connection();
  const stays = await mesh.connection(mesh.b.address4, other);
  policy.write(`inbound: { allow: ["${idOf(other)}"] }`);
  expect((await lost.client.finish()).ending).toBe("ECONNRESET");
  expect((await lost.server.finish()).ending).toBe("ECONNRESET");
  await metricOnce(mesh.b, revoked("inbound"), (count) => count === 1);
  await mesh.proxies[1]?.says(/policy\] replaced: 1 live connections are no longer allowed/);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
  await mesh.proxies[1]?.says(
    /10\.77\.0\.1 is not one of those allowed here: \S+ \(\S+policy\.yaml:1\)/,
  );
  expect(await ask(other, mesh.b)).toBe("served");
  await stays.client.say("still");
  expect((await stays.server.received(5)).text).toBe("still");
});

test("a port's own list overrides the general one, which applies to all other ports", async () => {
  const { mesh, policy } = await meshWith(`
inbound:
  allow: []
  ports: { 8000: { allow: ["spiffe://test.example/host/*"] } }`);
  await serveHttp(mesh.b, 8001, "served");
  expect(await ask(mesh.a, mesh.b)).toBe("served");
  expect(await ask(mesh.a, mesh.b, 8001)).not.toContain("served");
  policy.write("inbound: { ports: { 8000: { allow: [] } } }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
  expect(await ask(mesh.a, mesh.b, 8001)).toBe("served");
});

test.each([
  ["garbage", "inbound: ][", /W\S+ .*policy\] the old one stays in use: .*line 1: /],
  ["a wrong field", "inbound:\n  mod: strict", /line 2, inbound\.mod: there is no field "mod"/],
  ["nothing", "", /it is empty, as a half-written file would be/],
  ["half of it", "inbound:", /line 1, inbound: it has no value/],
] as const)("%s changes nothing but a log line and a counter", async (_, text, says) => {
  const { mesh, policy } = await meshWith(`inbound: { allow: ["spiffe://test.example/host/*"] }`);
  const { client, server } = await mesh.connection();
  policy.write(text);
  await metricOnce(mesh.b, kept, (count) => count === 1);
  await mesh.proxies[1]?.says(says);
  await client.say("still");
  expect((await server.received(5)).text).toBe("still");
  expect(await ask(mesh.a, mesh.b)).toBe("served");
  policy.write("inbound: { allow: [] }");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
});

test("SIGHUP reads it at once", async () => {
  const { mesh, policy } = await meshWith("{}");
  policy.write("inbound: { allow: [] }");
  mesh.proxies[1]?.child.kill("SIGHUP");
  await metricOnce(mesh.b, replaced, (count) => count === 1);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
});

test("modes change from one to the next, in the kernel as well", async () => {
  const { mesh, policy } = await meshWith("inbound: { mode: strict }");
  for (const [turn, [mode, answer]] of [
    ["audit", "served"],
    ["strict", ""],
    ["passthrough", "served"],
    ["permissive", "served"],
    ["strict", ""],
  ].entries()) {
    policy.write(`inbound: { mode: ${mode} }`);
    const all = await metricOnce(mesh.b, replaced, (count) => count === turn + 1);
    expect(all.get("tproxy_rules_intact")).toBe(1);
    const output = await ask(mesh.c, mesh.b);
    expect([mode, output.includes("served")]).toEqual([mode, answer === "served"]);
    // Pod a's proxy speaks TLS, which the application behind a passthrough port does not understand.
    if (mode !== "passthrough") expect(await ask(mesh.a, mesh.b)).toBe("served");
  }
});

test("a port that becomes strict resets the cleartext connections that it has admitted", async () => {
  const { mesh, policy } = await meshWith("inbound: { mode: permissive }");
  const { client, server } = await mesh.connection(mesh.b.address4, mesh.c, "hello");
  await server.received(5);
  policy.write("inbound: { mode: strict }");
  expect((await client.finish()).ending).toBe("ECONNRESET");
  expect((await server.finish()).ending).toBe("ECONNRESET");
  await metricOnce(mesh.b, revoked("inbound"), (count) => count === 1);
});

test("connections to an address are reset when its server is no longer the expected one", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("{}");
  mesh.proxies.push(await mesh.proxy(mesh.a, policy.flags), await mesh.proxy(mesh.b));
  await serveHttp(mesh.b, 8000, "served");
  const { client } = await mesh.connection();
  policy.write(`outbound: { expect: [{ to: ${mesh.b.address4}, allow: ["${idOf(mesh.c)}"] }] }`);
  expect((await client.finish()).ending).toBe("ECONNRESET");
  await metricOnce(mesh.a, revoked("outbound"), (count) => count === 1);
  expect(await ask(mesh.a, mesh.b)).not.toContain("served");
  policy.write(`outbound: { expect: [{ to: ${mesh.b.address4}, allow: ["${idOf(mesh.b)}"] }] }`);
  await metricOnce(mesh.a, replaced, (count) => count === 2);
  expect(await ask(mesh.a, mesh.b)).toBe("served");
});

/** Each omits sets that another has, or has other elements in them. */
const policies = [
  "{}",
  "inbound: { mode: permissive, ports: { 22: { mode: strict }, 80: { mode: passthrough } } }",
  "inbound: { mode: passthrough, ports: { 8000: { mode: audit }, 8001: { mode: strict } } }",
  'outbound: { mesh: [10.0.0.0/8, 0.0.0.0/1], exclude: [10.9.0.0/16, 255.255.255.255, "fd77::/64"], excludePorts: [53, 80] }',
  "inbound: { ports: { 22-80: { mode: passthrough } } }\noutbound: { ports: [80, 8000-8100], excludePorts: [50-60] }",
  'outbound: { mesh: ["fd00::/8"], exclude: [0.0.0.0/0] }',
];

test.each(["kept", "dropped"])(
  "privileges %s: whatever the previous policy, the kernel's state equals that of a start with the new one",
  async (privileges) => {
    const mesh = Mesh.create();
    const { a: changed, b: started } = mesh;
    const policy = new PolicyFile("{}");
    await mesh.proxy(changed, [...policy.flags, "--privileges", privileges]);
    let turns = 0;
    for (const after of inAllOrders(policies)) {
      policy.write(after);
      turns += 1;
      await metricOnce(changed, replaced, (count) => count === turns);
      const fresh = new PolicyFile(after);
      const proxy = await mesh.proxy(started, fresh.flags);
      expect(await tableOf(changed)).toBe(await tableOf(started));
      await proxy.end("SIGKILL");
    }
  },
  hungMs,
);

/** A walk over all ordered pairs, each once; it begins and ends at the first element. */
function inAllOrders(all: readonly string[]): readonly string[] {
  const left = new Map(all.map((one) => [one, all.filter((other) => other !== one)]));
  const walk: string[] = [];
  for (let at = all[0] ?? ""; ; at = walk.at(-1) ?? "") {
    const next = left.get(at)?.pop();
    if (next === undefined) return walk;
    walk.push(next);
  }
}

/** Sets sorted by name: nft lists them in order of creation. */
async function tableOf(pod: Pod): Promise<string> {
  const { stdout } = await pod.run(["nft", "list", "table", "inet", "tls-tproxy"]);
  const blocks = stdout
    .split(/^(?=\t(?:set|chain) )/m)
    .map((block) => block.replace(/^}\n/m, "").trim());
  return blocks.toSorted().join("\n");
}
