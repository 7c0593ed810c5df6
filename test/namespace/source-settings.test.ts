/** Client's addresses under all settings that pods have: of the kernel, of the proxy. */
import { beforeAll, describe, expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import type { Pod } from "../support/pods.ts";
import { askOnce, serveMirror, sourcesCounted, tellAndAsk } from "../support/sights.ts";

async function settings(pod: Pod): Promise<string> {
  const { stdout } = await pod.run(["sysctl", "-a", "--pattern", "^net\\."]);
  return stdout.replaceAll(/^net\.netfilter\.nf_conntrack_count.*\n/gm, "");
}

describe("reverse-path filters and marks' part in them", () => {
  const mesh = Mesh.create();
  let before = "";

  beforeAll(async () => {
    before = await settings(mesh.b);
    await mesh.startProxies();
    expect(await settings(mesh.b)).toBe(before);
    await serveMirror(mesh.b, 8080);
  });

  test("the proxy writes no setting of the kernel", async () => {
    const asked = { host: mesh.b.address4, port: 8080 };
    const now = await settings(mesh.b);
    await askOnce(mesh.a, asked);
    expect(await settings(mesh.b)).toBe(now);
  });

  test.each(["0", "1", "2"].flatMap((filter) => ["0", "1"].map((mark) => [filter, mark] as const)))(
    "rp_filter=%s src_valid_mark=%s: a proxy's client and a foreign one are seen",
    async (filter, mark) => {
      for (const pod of [mesh.a, mesh.b])
        for (const scope of ["all", "default", "lo", "eth0"])
          await pod.run([
            "sysctl",
            "-qw",
            `net.ipv4.conf.${scope}.rp_filter=${filter}`,
            `net.ipv4.conf.${scope}.src_valid_mark=${mark}`,
          ]);
      const { own, seen, error } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
      expect([error, seen]).toEqual(["", own]);
      const paths = mesh.credentials(mesh.c);
      const { sight, running } = await tellAndAsk(mesh.c, {
        host: mesh.b.address4,
        port: 8080,
        paths,
      });
      expect([sight.error, sight.seen]).toEqual(["", sight.own]);
      await running.end();
    },
  );
});

test("where applications have all ports there is none for the wire: the alias keeps what can be kept", async () => {
  const mesh = Mesh.create();
  for (const pod of [mesh.a, mesh.b])
    await pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
  await mesh.startProxies();
  await serveMirror(mesh.b, 8080);
  await serveMirror(mesh.b, 8081, mesh.b.address4);
  const wide = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
  expect([wide.error, wide.seen]).toEqual(["", wide.own]);
  const narrow = await askOnce(mesh.a, { host: mesh.b.address4, port: 8081 });
  expect([narrow.error, narrow.seen.split(":")[0]]).toEqual(["", mesh.b.address4]);
  expect(await sourcesCounted(mesh.b)).toEqual({ "ip-port/alias": 1, "none/one-address": 1 });
});

describe("--preserve-source and the policy's preserveSource", () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile(
    "inbound: { preserveSource: ip, ports: { 8081: { preserveSource: off }, 8082: { preserveSource: ip-port } } }",
  );

  beforeAll(async () => {
    mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, policy.flags));
    for (const port of [8080, 8081, 8082]) await serveMirror(mesh.b, port);
  });

  const ask = async (port: number): Promise<readonly string[]> => {
    const { own, seen, at } = await askOnce(mesh.a, { host: mesh.b.address4, port });
    expect(at).toBe(`${mesh.b.address4}:${port}`);
    return [own, seen];
  };

  test("ip: the address, by another port", async () => {
    const [own = "", seen = ""] = await ask(8080);
    expect(seen).not.toBe(own);
    expect(seen.split(":")[0]).toBe(mesh.a.address4);
  });

  test("off: as the pod itself", async () => {
    expect((await ask(8081))[1]?.split(":")[0]).toBe(mesh.b.address4);
  });

  test("ip-port for one port", async () => {
    const [own, seen] = await ask(8082);
    expect(seen).toBe(own ?? "");
  });
});

test("a changed policy holds for the next connection", async () => {
  const mesh = Mesh.create();
  const policy = new PolicyFile("inbound: { preserveSource: ip }");
  mesh.proxies.push(await mesh.proxy(mesh.a), await mesh.proxy(mesh.b, policy.flags));
  await serveMirror(mesh.b, 8080);
  const seen = async (): Promise<string> =>
    (await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 })).seen.split(":")[0] ?? "";
  expect(await seen()).toBe(mesh.a.address4);
  policy.write("inbound: { preserveSource: off }");
  while ((await seen()) !== mesh.b.address4);
});

test("off on the client's side tells nothing, and takes no port of its own for the wire", async () => {
  const mesh = Mesh.create();
  mesh.proxies.push(
    await mesh.proxy(mesh.a, ["--preserve-source", "off"]),
    await mesh.proxy(mesh.b),
  );
  await serveMirror(mesh.b, 8080);
  const { own, seen } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
  expect(seen).not.toBe(own);
  expect(await sourcesCounted(mesh.b)).toEqual({ "ip-port/alias": 1 });
});

test("a client outside of the mesh, and one whose application's user is excluded, are seen at the alias", async () => {
  const mesh = Mesh.create();
  const options = [
    ["--exclude-cidr", `${mesh.a.address4}/32`],
    ["--exclude-uid", "0"],
  ] as const;
  await mesh.proxy(mesh.a);
  await serveMirror(mesh.b, 8080);
  for (const option of options) {
    const proxy = await mesh.proxy(mesh.b, option);
    const { own, seen, at, error } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
    expect([error, seen, at]).toEqual(["", own, "169.254.77.1:8080"]);
    await proxy.end();
    await mesh.b.run(["nft", "delete", "table", "inet", "tls-tproxy"]);
  }
});
