/** Connections without conntrack (notrack): exempt ones in cleartext still work, diverted ones stay diverted. */
import { beforeAll, describe, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";
import { curl } from "../support/programs.ts";

/** Busy hosts do this in their raw table, for all ports. */
async function leaveOut(pod: Pod, incoming: string, outgoing = incoming): Promise<void> {
  const text = `table inet raw {
    chain pre { type filter hook prerouting priority raw; ${notrack(incoming)} }
    chain out { type filter hook output priority raw; ${notrack(outgoing)} }
  }`;
  const { code, stderr } = await pod.run(["nft", "-f", "-"], text);
  if (code !== 0) throw new Error(stderr);
}

function notrack(which: string): string {
  return which === "" ? "" : `${which} notrack;`;
}

async function asked(from: Pod, host: string, port: number): Promise<string> {
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
  return (await curl(from, url)).output;
}

const all = "meta l4proto tcp";
const scoped = ["--mesh-cidr", "10.77.0.0/24,fd77::/64"];

const hostOf = (ports: string): readonly string[] => ["--host", ...scoped, "--inbound-port", ports];

describe.each([
  ["a host, --inbound-port 8080", hostOf("8080"), [all, all]],
  ["a host, --inbound-port none", hostOf("none"), [all, all]],
  ["a host, incoming packets untracked", hostOf("8080"), [all, ""]],
  ["a host, outgoing packets untracked", hostOf("8080"), ["", all]],
  ["a pod, --exclude-inbound-port 22", ["--exclude-inbound-port", "22"], [all, all]],
] as const)("%s", (_, options, [incoming, outgoing]) => {
  const mesh = Mesh.create();

  beforeAll(async () => {
    await mesh.proxy(mesh.a);
    for (const pod of [mesh.a, mesh.b]) {
      await serveHttp(pod, 22, "ssh");
      await serveHttp(pod, 8080, "application");
    }
    await serveHttp(mesh.c, 8080, "in cleartext");
    await leaveOut(mesh.b, incoming, outgoing);
    await mesh.proxy(mesh.b, options);
  });

  test("an exempt service answers over IPv4 and IPv6", async () => {
    for (const host of [mesh.b.address4, mesh.b.address6])
      expect(await asked(mesh.c, host, 22)).toBe("ssh");
  });

  test("outbound connections are diverted from the first packet to the last", async () => {
    for (const host of [mesh.a.address4, mesh.a.address6])
      expect(await asked(mesh.b, host, 8080)).toBe("application");
    for (const host of [mesh.c.address4, mesh.c.address6])
      expect(await asked(mesh.b, host, 8080)).not.toContain("in cleartext");
  });
});

test("a port for mutual TLS only stays so", async () => {
  const mesh = Mesh.create();
  await mesh.proxy(mesh.a);
  await serveHttp(mesh.b, 8080, "application");
  await leaveOut(mesh.b, all);
  await mesh.proxy(mesh.b, hostOf("8080"));
  expect(await asked(mesh.a, mesh.b.address4, 8080)).toBe("application");
  expect(await asked(mesh.c, mesh.b.address4, 8080)).not.toContain("application");
});

test("an exempt session survives start, death and restart of the proxy, and a rewrite of the rules", async () => {
  const mesh = Mesh.create();
  await leaveOut(mesh.b, "tcp dport 22", "tcp sport 22");
  const options = hostOf("8080");
  const flags = [...flagsOf(mesh.credentials(mesh.b)), ...options];
  const before = await mesh.connection(mesh.b.address4, mesh.c, "1", 22);
  let proxy = await mesh.b.proxy(flags);
  const during = await mesh.connection(mesh.b.address4, mesh.c, "1", 22);
  const answers = async (): Promise<void> => {
    for (const { client, server } of [before, during]) {
      const { bytes } = await client.received(0);
      await server.say("x");
      await client.received(bytes + 1);
    }
  };
  await answers();
  await proxy.end("SIGKILL");
  await answers();
  proxy = await mesh.b.proxy(flags);
  await answers();
  await mesh.b.run(["nft", "flush", "chain", "inet", "tls-tproxy", "output"]);
  await proxy.says(/rules were restored/);
  await answers();
});
