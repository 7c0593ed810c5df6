/** Applications that bind sockets to an interface (SO_BINDTODEVICE, curl --interface) are carried like all others. */
import { expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { kernelState } from "../support/kernel-state.ts";
import { Mesh } from "../support/mesh.ts";
import { askOdd, boundTo, marked, serveOdd } from "../support/odd-sockets.ts";
import { executable, type Pod } from "../support/pods.ts";

async function pods(...options: readonly string[]): Promise<Mesh> {
  const mesh = Mesh.create();
  await mesh.startProxies(...options);
  for (const pod of [mesh.b, mesh.c]) await serveOdd(pod, { host: "::", port: 9000 });
  return mesh;
}

function at(pod: Pod, family: 4 | 6): { readonly host: string; readonly port: number } {
  return { host: family === 4 ? pod.address4 : pod.address6, port: 9000 };
}

test.each([
  ["a pod, privileges dropped", ["--privileges", "dropped"]],
  ["a pod, privileges kept", ["--privileges", "kept"]],
  ["a host", ["--host", "--mesh-cidr", "10.77.0.0/24,fd77::/64", "--inbound-port", "9000"]],
] as const)(
  "%s: a peer is reached by mutual TLS, a stranger is not reached",
  async (_, options) => {
    const mesh = await pods(...options);
    for (const family of [4, 6] as const) {
      expect(await askOdd(mesh.a, at(mesh.b, family), "6f", boundTo("eth0"))).toBe("6f");
      expect(await askOdd(mesh.a, at(mesh.c, family), "6f", boundTo("eth0"))).not.toBe("6f");
      expect(await askOdd(mesh.a, at(mesh.b, family), "6f")).toBe("6f");
    }
  },
);

test("a server whose sockets are bound to an interface is reached", async () => {
  const mesh = await pods();
  await serveOdd(mesh.b, { host: "0.0.0.0", port: 9001 }, boundTo("eth0"));
  expect(await askOdd(mesh.a, { host: mesh.b.address4, port: 9001 }, "6f")).toBe("6f");
});

test("with privileges kept, new interfaces and interfaces that come up are covered", async () => {
  const mesh = await pods("--privileges", "kept");
  for (const command of [
    "ip link add later type veth peer name other",
    "ip addr add 10.77.0.101/32 dev later",
    "ip link set later up",
    "ip link set other up",
    "ip link set eth0 down",
    "ip link set eth0 up",
  ])
    await mesh.a.run(command.split(" "));
  for (const device of ["later", "eth0"]) {
    const found = async (): Promise<string> =>
      (await mesh.a.run(["ip", "route", "show", "table", "29808", "dev", device])).stdout;
    while ((await found()) === "");
  }
  for (const device of ["later", "eth0"])
    expect(await askOdd(mesh.a, at(mesh.b, 4), "6f", boundTo(device))).toBe("6f");
});

test("with privileges dropped, the log names an interface that appears later", async () => {
  const mesh = Mesh.create();
  const proxy = await mesh.proxy(mesh.a, ["--privileges", "dropped"]);
  for (const command of [
    "ip link add later type veth peer name other",
    "ip addr add 10.77.0.101/32 dev later",
    "ip link set later up",
  ])
    await mesh.a.run(command.split(" "));
  await proxy.says(
    /W\S+ .*rules\] sockets bound to later \(SO_BINDTODEVICE\) cannot connect to the mesh/,
  );
});

test("the rules leave no route behind, and other rules do not count it as a change", async () => {
  const mesh = Mesh.create();
  const before = await kernelState(mesh.a);
  const proxy = await mesh.proxy(mesh.a, ["--remove-rules-on-exit"]);
  await mesh.a.run(["ip", "link", "set", "eth0", "down"]);
  await mesh.a.run(["ip", "link", "set", "eth0", "up"]);
  expect(await proxy.end()).toBe(0);
  expect(proxy.output).not.toContain("rules are no longer");
  await mesh.a.run(["ip", "addr", "add", `${mesh.a.address6}/64`, "dev", "eth0", "nodad"]);
  expect(await kernelState(mesh.a)).toBe(before);
});

test("nothing passes in cleartext after the proxy has died", async () => {
  const mesh = await pods();
  await serveHttp(mesh.c, 8080, "in cleartext");
  await mesh.proxies[0]?.end("SIGKILL");
  for (const family of [4, 6] as const)
    expect(await askOdd(mesh.a, at(mesh.c, family), "6f", boundTo("eth0"))).toBe("silent");
});

test("packets that an application marks are carried, unless the mark is the one for diverted packets", async () => {
  const mesh = await pods();
  for (const family of [4, 6] as const)
    for (const mark of [0x100, 0x1])
      expect(await askOdd(mesh.a, at(mesh.b, family), "6f", marked(mark))).toBe("6f");
  expect(await askOdd(mesh.a, at(mesh.b, 4), "6f", marked(0xa))).toBe("refused");
});

test("why explains sockets that are bound to an interface", async () => {
  const { stdout } = await Mesh.create().a.run([...executable(), "why", "10.77.0.2:80"]);
  expect(stdout).toContain("SO_BINDTODEVICE");
});
