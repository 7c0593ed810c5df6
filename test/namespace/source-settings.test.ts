/** Client addresses under all settings that pods have, of the kernel and of the proxy. */
import { beforeAll, describe, expect, test } from "bun:test";

import { credentialsFor } from "../support/credentials.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { PolicyFile } from "../support/policy.ts";
import type { Pod } from "../support/pods.ts";
import { ask, askOnce, serveMirror, sourcesCounted, tellAndAsk } from "../support/sights.ts";

async function settings(pod: Pod): Promise<string> {
  const { stdout } = await pod.run(["sysctl", "-a", "--pattern", "^net\\."]);
  return stdout.replaceAll(/^net\.netfilter\.nf_conntrack_count.*\n/gm, "");
}

describe("reverse-path filters, and whether they consider marks", () => {
  const mesh = Mesh.create();
  let before = "";

  beforeAll(async () => {
    before = await settings(mesh.b);
    await mesh.startProxies();
    expect(await settings(mesh.b)).toBe(before);
    await serveMirror(mesh.b, 8080);
  });

  test("the proxy writes no kernel setting", async () => {
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

describe.each([
  ["by the proxy", [], ""],
  ["by --wire-ports", ["--wire-ports", "20000-20099"], ""],
  ["by --wire-ports and reserved", ["--wire-ports", "20000-20099"], "20000-20099"],
] as const)("if applications may use all ports, some are reserved, %s", (_, options, reserved) => {
  const mesh = Mesh.create();

  beforeAll(async () => {
    for (const pod of [mesh.a, mesh.b]) {
      await pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
      await pod.run(["sysctl", "-qw", `net.ipv4.ip_local_reserved_ports=${reserved}`]);
    }
    await mesh.startProxies(...options);
    await serveMirror(mesh.b, 8080);
    await serveMirror(mesh.b, 8081, mesh.b.address4);
  });

  test.each([8080, 8081])(
    "port %d: the client's and the application's addresses are their own",
    async (port) => {
      const hosts = port === 8080 ? [mesh.b.address4, mesh.b.address6] : [mesh.b.address4];
      for (const host of hosts) {
        const { sights, running } = await ask(mesh.a, { host, port, count: 40 });
        for (const { own, seen, at, error } of sights) {
          expect([error, seen]).toEqual(["", own]);
          expect(at).toBe(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
        }
        await running.end();
      }
      const [kept] = Object.keys(await sourcesCounted(mesh.b));
      expect([kept]).toEqual(["ip-port/as-asked"]);
    },
  );

  test("no application gets a reserved port", async () => {
    const first = options.length === 0 ? 22_976 : 20_000;
    const narrow = `net.ipv4.ip_local_port_range=${first} ${first + 63}`;
    await mesh.a.run(["sysctl", "-qw", narrow]);
    const { error } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8080 });
    await mesh.a.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
    expect(error).toBe("EADDRNOTAVAIL");
  });
});

test("with all of them in use, the next client keeps its address, and the application its own", async () => {
  const mesh = Mesh.create();
  for (const pod of [mesh.a, mesh.b])
    await pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
  await mesh.startProxies("--wire-ports", "20000-20003");
  await serveMirror(mesh.b, 8080);
  const { sights } = await ask(mesh.a, { host: mesh.b.address4, port: 8080, count: 8 });
  for (const { seen, at, error } of sights)
    expect([error, seen.split(":")[0], at]).toEqual([
      "",
      mesh.a.address4,
      `${mesh.b.address4}:8080`,
    ]);
  expect(await sourcesCounted(mesh.b)).toEqual({ "ip-port/as-asked": 4, "ip/wire-port": 4 });
});

test("with none available the log says so", async () => {
  const pod = Mesh.create().a;
  await pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"]);
  await serveMirror(pod, 20_000);
  const credentials = flagsOf(credentialsFor([pod.address4, pod.address6]));
  const proxy = await pod.proxy([...credentials, "--wire-ports", "20000-20000"]);
  await proxy.says(/W\S+ .*no port is left for connections to peers/);
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

  const asked = async (port: number): Promise<readonly string[]> => {
    const { own, seen, at } = await askOnce(mesh.a, { host: mesh.b.address4, port });
    expect(at).toBe(`${mesh.b.address4}:${port}`);
    return [own, seen];
  };

  test("ip: the address, with another port", async () => {
    const [own = "", seen = ""] = await asked(8080);
    expect(seen).not.toBe(own);
    expect(seen.split(":")[0]).toBe(mesh.a.address4);
  });

  test("off: the pod's own address", async () => {
    expect((await asked(8081))[1]?.split(":")[0]).toBe(mesh.b.address4);
  });

  test("ip-port for one port", async () => {
    const [own, seen] = await asked(8082);
    expect(seen).toBe(own ?? "");
  });
});

test("a changed policy applies to the next connection", async () => {
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

test("off on the client's side sends no address, and uses no port of its own on the wire", async () => {
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

test("a client outside the mesh, and one with an excluded user, are seen at the alias", async () => {
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
