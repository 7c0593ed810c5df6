/** A defect is logged, repaired if the privileges allow it, and makes /readyz fail if not. */
import { expect, test } from "bun:test";

import { deadlineMs } from "../support/deadline.ts";
import { repairProcessOf } from "../support/repair-process.ts";
import { kernelState } from "../support/kernel-state.ts";
import { Mesh } from "../support/mesh.ts";
import { metricOnce, metrics, readyz, readyzOnce } from "../support/status.ts";

const mesh = Mesh.create();
/** With its privileges kept the proxy repairs the rules, otherwise the repair process does. */
const kept = ["--privileges", "kept"];
const both = ["kept", "dropped"] as const;

const damages = [
  ["the table is deleted", "nft delete table inet tls-tproxy"],
  ["the ruleset is flushed", "nft flush ruleset"],
  ["a chain is emptied", "nft flush chain inet tls-tproxy prerouting"],
  ["a rule is added", "nft insert rule inet tls-tproxy output accept"],
  ["a chain is added", "nft add chain inet tls-tproxy other"],
  ["a range is added", "nft add element inet tls-tproxy excluded4 { 10.77.0.2 }"],
  ["a routing rule is deleted", "ip rule del priority 100"],
  ["a route is deleted", "ip -6 route del local default dev lo table 29808"],
  ["the address on lo is deleted", "ip addr del 169.254.77.1/32 dev lo"],
] as const;

test.each(
  (["kept", "dropped"] as const).flatMap((privileges) =>
    damages.map(([what, command]) => [privileges, what, command] as const),
  ),
)("%s: when %s, this is logged and the rules are rewritten", async (privileges, _, command) => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod, ["--privileges", privileges]);
  const before = await kernelState(pod);
  expect(await readyz(pod)).toEqual({ status: 200, text: "ready" });
  const { code, stderr } = await pod.run(command.split(" "));
  expect([code, stderr]).toEqual([0, ""]);
  await proxy.says(/W\S+ .*rules\] the rules are no longer as they were written/);
  await proxy.says(/I\S+ .*rules\] the rules were restored/);
  expect(await kernelState(pod)).toBe(before);
  const all = await metrics(pod);
  expect([all.get("tproxy_rules_intact"), all.get("tproxy_rules_repairs_total")]).toEqual([1, 1]);
  expect((await readyz(pod)).status).toBe(200);
});

test("without write access to the rules or a repair process, the proxy says so and is not ready", async () => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod, ["--privileges", "dropped"]);
  process.kill(repairProcessOf(proxy), "SIGKILL");
  await proxy.says(/W\S+ .*rules\] the repair process has ended/);
  expect(await readyz(pod)).toEqual({
    status: 200,
    text: expect.stringMatching(/^ready\nthe repair process has ended/) as string,
  });
  expect((await metrics(pod)).get("tproxy_repair_process_alive")).toBe(0);
  await pod.run(["nft", "flush", "ruleset"]);
  const { text } = await readyzOnce(pod, 503);
  expect(text).toMatch(/^the rules are no longer as they were written.*restart the proxy/);
  await metricOnce(pod, "tproxy_rules_intact", (value) => value === 0);
});

test("repeated removal of the rules is answered once a second", async () => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod, kept);
  for (let turn = 1; turn <= 3; turn += 1) {
    await pod.run(["nft", "delete", "table", "inet", "tls-tproxy"]);
    await metricOnce(pod, "tproxy_rules_repairs_total", (count) => count === turn);
  }
  await proxy.says(/(rules were restored[^]*){3}/);
  expect(proxy.output.match(/rules were restored/g)).toHaveLength(3);
});

test("cleartext connections that began without the rules are reset after the repair, even idle ones", async () => {
  const own = Mesh.create();
  const proxy = await own.proxy(own.b, [
    ...kept,
    "--mesh-cidr",
    "192.0.2.0/24",
    "--exclude-cidr",
    "10.77.0.0/24,::/0",
  ]);
  // A program started only now would come after the repair.
  await Promise.all([own.b.agent.listen("::", 9), own.c.agent.listen("::", 9)]);
  const take = ["nft", "delete", "table", "inet", "tls-tproxy"];
  await own.b.run(take);
  await metricOnce(own.b, "tproxy_rules_repairs_total", (count) => count === 1);
  // The second repair comes a second later.
  await own.b.run(take);
  const { client, server } = await own.connection(own.b.address4, own.c);
  expect((await client.finish()).ending).toBe("ECONNRESET");
  expect((await server.finish()).ending).toBe("ECONNABORTED");
  await proxy.says(
    /rules were restored: .*, and 1 connections that had started in cleartext were reset/,
  );
});

test.each(both)("%s: changes to other tables are ignored", async (privileges) => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod, ["--privileges", privileges]);
  for (const command of [
    "nft add table inet other",
    "nft add chain inet other output { type filter hook output priority 0 ; }",
    "ip rule add fwmark 77 table 77",
    "ip route add 192.0.2.0/24 dev eth0",
  ])
    expect((await pod.run(command.split(" "))).code).toBe(0);
  // A change to our table follows: what the proxy logs last covers both.
  await pod.run(["nft", "add", "chain", "inet", "tls-tproxy", "other"]);
  await proxy.says(/rules were restored/);
  expect(proxy.output.match(/no longer as they were written/g)).toHaveLength(1);
  expect((await pod.run(["nft", "list", "tables"])).stdout).toContain("table inet other");
});

test.each(both)(
  "%s: IPv6 switched off and on again on lo, as Docker does, gets its route back",
  async (privileges) => {
    const pod = mesh.extraPod();
    const proxy = await mesh.proxy(pod, ["--privileges", privileges]);
    const before = await kernelState(pod);
    const setting = "/proc/sys/net/ipv6/conf/lo/disable_ipv6";
    expect((await pod.run(["sh", "-c", `echo 1 > ${setting}`])).code).toBe(0);
    await proxy.says(/rules were restored/);
    expect((await pod.run(["sh", "-c", `echo 0 > ${setting}`])).code).toBe(0);
    // The kernel does not announce the setting itself, but the routes that return with it.
    await pod.run(["ip", "-6", "route", "add", "fd99::/64", "dev", "eth0"]);
    await metricOnce(pod, "tproxy_rules_repairs_total", (count) => count >= 2);
    await pod.run(["ip", "-6", "route", "del", "fd99::/64", "dev", "eth0"]);
    expect(await kernelState(pod)).toBe(before);
  },
);

test("/readyz fails when the certificate expires", async () => {
  const pod = mesh.extraPod();
  // Long enough for a start.
  await mesh.proxy(pod, [], { lastsMs: deadlineMs(3000) });
  expect((await readyz(pod)).status).toBe(200);
  expect((await readyzOnce(pod, 503)).text).toMatch(/^certificate has expired at 20/);
  const { "0": until } = [
    (await metrics(pod)).get("tproxy_identity_cert_expiration_timestamp_seconds"),
  ];
  expect(until).toBeLessThan(Date.now() / 1000);
});

test("/readyz fails when a listener is gone", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod);
  // INET_DIAG_DESTROY, as by an administrator's mistake.
  const { code } = await pod.run(["ss", "-K", "-ltn", "src", "127.0.0.1:2"]);
  expect(code).toBe(0);
  expect((await readyzOnce(pod, 503)).text).toBe("a listener is gone");
});
