/**
 * Where TCP connects but large packets are lost, the log names the MTU as a possible cause and says how to check it.
 */
import { expect, test } from "bun:test";

import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

/** The bridge drops packets over 1,000 bytes from this pod, without any ICMP message. */
async function loseLargePackets(mesh: Mesh, from: Pod): Promise<void> {
  const link = from === mesh.a ? "p1" : "p2";
  const chain = "type filter hook forward priority 0;";
  const { stderr, code } = await mesh.network.node(
    ["nft", "-f", "-"],
    `table bridge hole { chain large { ${chain} iifname ${link} meta length > 1000 drop; }; }\n`,
  );
  expect([code, stderr]).toEqual([0, ""]);
}

async function meshThatLosesFrom(
  which: "a" | "b",
  patience: readonly [string, string],
): Promise<Mesh> {
  const mesh = Mesh.create();
  for (const pod of [mesh.a, mesh.b]) await pod.run(["ip", "link", "set", "eth0", "mtu", "1400"]);
  for (const [at, pod] of [mesh.a, mesh.b].entries())
    mesh.proxies.push(await mesh.proxy(pod, ["--handshake-timeout", patience[at] ?? ""]));
  await mesh.b.agent.listen("::", 8080);
  await loseLargePackets(mesh, mesh[which]);
  return mesh;
}

/** With the pods' MTU, a ClientHello takes two packets, and the second one passes. */
const ping = (host: string): string =>
  `"ping -M do -s ${host.includes(":") ? 1352 : 1372} ${host}"`;

test.each(["IPv4", "IPv6"])(
  "the client's packets are lost: its log says that they are not acknowledged, %s",
  async (family) => {
    const mesh = await meshThatLosesFrom("a", ["1s", "60s"]);
    const address = family === "IPv4" ? mesh.b.address4 : mesh.b.address6;
    expect(await mesh.a.agent.attempt(address, 8080)).toBe("ECONNRESET");
    const line = await mesh.proxies[0]?.says(/Failed to connect.*timed out.*\n/);
    expect(line).toContain("the peer does not acknowledge all packets of our ClientHello");
    expect(line).toContain("(MTU)");
    expect(line).toContain(ping(address));
    expect(line).toContain("X25519MLKEM768");
  },
);

test("the client's packets are lost: the server's log says that only part of a ClientHello arrived", async () => {
  const mesh = await meshThatLosesFrom("a", ["60s", "2s"]);
  const attempt = mesh.a.agent.attempt(mesh.b.address4, 8080);
  const line = await mesh.proxies[1]?.says(/Refused connection.*timed out.*\n/);
  expect(line).toContain("only part of the client's handshake came");
  expect(line).toContain(ping(mesh.a.address4));
  expect(await attempt).toBe("ECONNRESET");
  // The server's reset came first, and the client's log must say so.
  const reset = await mesh.proxies[0]?.says(/Failed to connect.*reset by peer.*\n/);
  expect(reset).toMatch(/reset by peer \d+\.\d s into the TLS handshake\. .*\(MTU\)/);
  expect(reset).toContain(`"ping -M do -s 1472 ${mesh.b.address4}"`);
});

test("the server's packets are lost: both logs say so", async () => {
  const mesh = await meshThatLosesFrom("b", ["20s", "4s"]);
  expect(await mesh.a.agent.attempt(mesh.b.address4, 8080)).toBe("ECONNRESET");
  const line = await mesh.proxies[1]?.says(/Refused connection.*timed out.*\n/);
  expect(line).toContain("the peer does not acknowledge all packets of our answer");
  expect(line).toContain(ping(mesh.a.address4));
  expect(await mesh.proxies[0]?.says(/Failed to connect.*\n/)).toContain("(MTU)");
});

test("a silent server may not be a TLS server, and a silent client is reported as just that", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies("--handshake-timeout", "1s");
  await mesh.c.agent.listen("::", 8081);
  expect(await mesh.a.agent.attempt(mesh.c.address4, 8081)).toBe("ECONNRESET");
  const line = await mesh.proxies[0]?.says(/Failed to connect.*timed out.*\n/);
  expect(line).toContain("sent nothing (does it speak TLS?)");
  await mesh.c.agent.connect(mesh.b.address4, 8080);
  const silent = await mesh.proxies[1]?.says(/Refused connection.*timed out.*\n/);
  expect(silent).toContain("the client connected and sent nothing");
  expect(silent).not.toContain("MTU");
});
