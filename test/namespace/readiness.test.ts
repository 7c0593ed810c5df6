/** /readyz is false as soon as something is not as it should be, and says what. */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { metrics, readyz, readyzOnce } from "../support/status.ts";

const mesh = Mesh.create();

test.each([
  ["the table is deleted", "nft delete table inet tls-tproxy"],
  ["the ruleset is flushed", "nft flush ruleset"],
  ["a chain is emptied", "nft flush chain inet tls-tproxy prerouting"],
  ["a rule is added", "nft insert rule inet tls-tproxy output accept"],
  ["a chain is added", "nft add chain inet tls-tproxy other"],
  ["a range is added", "nft add element inet tls-tproxy excluded4 { 10.77.0.2 }"],
  ["a routing rule is deleted", "ip rule del priority 100"],
  ["a route is deleted", "ip -6 route del local default dev lo table 29808"],
])("when %s", async (_, command) => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod);
  expect(await readyz(pod)).toEqual({ status: 200, text: "ready" });
  expect((await metrics(pod)).get("rules_intact")).toBe(1);
  const { code, stderr } = await pod.run(command.split(" "));
  expect([code, stderr]).toEqual([0, ""]);
  const { text } = await readyzOnce(pod, 503);
  expect(text).toMatch(/^the rules are no longer as they were written/);
  expect((await metrics(pod)).get("rules_intact")).toBe(0);
  await proxy.says(/W\S+ .*rules\] the rules are no longer/);
});

test("what others do with their own rules is none of its business", async () => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod);
  for (const command of [
    "nft add table inet other",
    "nft add chain inet other output { type filter hook output priority 0 ; }",
    "ip rule add fwmark 77 table 77",
    "ip route add 192.0.2.0/24 dev eth0",
  ])
    expect((await pod.run(command.split(" "))).code).toBe(0);
  // A change of ours comes after theirs: what the proxy says last covers them.
  await pod.run(["nft", "add", "chain", "inet", "tls-tproxy", "other"]);
  await readyzOnce(pod, 503);
  await pod.run(["nft", "delete", "chain", "inet", "tls-tproxy", "other"]);
  await readyzOnce(pod, 200);
  expect(proxy.output.match(/no longer as they were written/g)).toHaveLength(1);
});

test("when the certificate expires", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod, [], { lastsMs: 3000 });
  expect((await readyz(pod)).status).toBe(200);
  expect((await readyzOnce(pod, 503)).text).toMatch(/^certificate has expired at 20/);
  const { "0": until } = [(await metrics(pod)).get("identity_cert_expiration_timestamp_seconds")];
  expect(until).toBeLessThan(Date.now() / 1000);
});

test("when a listener is gone", async () => {
  const pod = mesh.extraPod();
  await mesh.proxy(pod);
  // INET_DIAG_DESTROY, as an administrator's mistake would have it.
  const { code } = await pod.run(["ss", "-K", "-ltn", "src", "127.0.0.1:2"]);
  expect(code).toBe(0);
  expect((await readyzOnce(pod, 503)).text).toBe("a listener is gone");
});
