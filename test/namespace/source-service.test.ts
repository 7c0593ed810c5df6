/** With address translation in between: of a service, of the client; and a pod that connects to itself. */
import { beforeAll, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { ask, askOnce, serveMirror, sourcesCounted } from "../support/sights.ts";

const mesh = Mesh.create();
const node = "10.77.0.254";
const service = "10.96.0.10";
const masked = "10.96.0.11";

/** The pods are connected only through the node, which rewrites the service's address as kube-proxy does. */
beforeAll(async () => {
  const to = `${mesh.b.address4}:8080`;
  const rules = `table ip service {
    chain prerouting {
      type nat hook prerouting priority -100;
      ip daddr ${service} tcp dport 80 dnat to ${to}
      ip daddr ${masked} tcp dport 80 meta mark set 1 dnat to ${to}
    }
    chain postrouting { type nat hook postrouting priority 100; meta mark 1 masquerade; }
  }`;
  await mesh.network.node(["ip", "addr", "add", `${node}/24`, "dev", "br0"]);
  await mesh.network.node([
    "sysctl",
    "-qw",
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.br0.send_redirects=0",
  ]);
  expect((await mesh.network.node(["nft", "-f", "-"], rules)).stderr).toBe("");
  for (const [pod, other] of [
    [mesh.a, mesh.b],
    [mesh.b, mesh.a],
  ] as const)
    for (const range of [`${other.address4}/32`, "10.96.0.0/16"])
      await pod.run(["ip", "route", "add", range, "via", node]);
  await mesh.startProxies();
  await serveMirror(mesh.b, 8080);
});

test("a service's client is seen by its own address and port", async () => {
  const { own, seen, at } = await askOnce(mesh.a, { host: service, port: 80 });
  expect(own).toMatch(new RegExp(`^${mesh.a.address4}:`));
  expect([seen, at]).toEqual([own, `${mesh.b.address4}:8080`]);
});

test("the same client port through the service and directly: both connections work, and both are seen", async () => {
  const first = await ask(mesh.a, { host: service, port: 80, from: 40_001 });
  const second = await ask(mesh.a, { host: mesh.b.address4, port: 8080, from: 40_001 });
  const seen = [first, second].map(({ sights: [sight] }) => [sight?.seen, sight?.at]);
  expect(seen).toEqual([
    [`${mesh.a.address4}:40001`, `${mesh.b.address4}:8080`],
    [`${mesh.a.address4}:40001`, "169.254.77.1:8080"],
  ]);
  for (const { running } of [first, second]) await running.end();
});

test("if the node replaces the client's address with its own, that one is seen", async () => {
  const { seen, error } = await askOnce(mesh.a, { host: masked, port: 80 });
  expect(error).toBe("");
  expect(seen).toMatch(new RegExp(`^${node}:`));
  expect((await sourcesCounted(mesh.b))["ip/address-differs"]).toBe(1);
});

test("a pod that connects to its own address is left alone", async () => {
  const { own, seen, at } = await askOnce(mesh.b, { host: mesh.b.address4, port: 8080 });
  expect([seen, at]).toEqual([own, `${mesh.b.address4}:8080`]);
});
