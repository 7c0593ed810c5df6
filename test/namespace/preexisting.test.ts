/**
 * Cleartext connections open before the start: in a pod, those that would now be refused, and only those, are reset.
 */
import { expect, test } from "bun:test";

import type { AgentSocket } from "../support/application.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { metricOnce, metrics, readyz } from "../support/status.ts";

const gauge = "tproxy_preexisting_cleartext_connections";
const warned = /W.* from before the start: .*\n/;

type Pair = { readonly client: AgentSocket; readonly server: AgentSocket };

async function pair(from: Pod, to: Pod, address: string, port: number): Promise<Pair> {
  const listening = await to.agent.listen("::", port);
  const client = await from.agent.connect(address, port);
  return { client, server: await listening.accept() };
}

async function isAlive({ client, server }: Pair, text: string): Promise<void> {
  await client.say(text);
  await server.say(text);
  expect((await server.received(text.length)).text).toEndWith(text);
  expect((await client.received(text.length)).text).toEndWith(text);
}

test.each([
  ["IPv4", "dropped"],
  ["IPv6", "kept"],
] as const)(
  "connections in both directions are reset and named, %s, privileges %s",
  async (family, privileges) => {
    const mesh = Mesh.create();
    const { b, c } = mesh;
    const address = (pod: Pod): string => (family === "IPv4" ? pod.address4 : pod.address6);
    const inward = await pair(c, b, address(b), 8080);
    const outward = await pair(b, c, address(c), 9090);
    const proxy = await mesh.proxy(b, ["--privileges", privileges]);
    const endings = await Promise.all(
      [inward.server, inward.client, outward.client, outward.server].map(
        async (one) => (await one.finish()).ending,
      ),
    );
    // The owner of a destroyed socket gets ECONNABORTED, the other end RST.
    expect(endings).toEqual(["ECONNABORTED", "ECONNRESET", "ECONNABORTED", "ECONNRESET"]);
    const line = await proxy.says(warned);
    expect(line).toContain(
      "2 connections from before the start: reset, because they were in cleartext",
    );
    const place = (pod: Pod, port: number): string =>
      family === "IPv4" ? `${pod.address4}:${port}` : `[${pod.address6}]:${port}`;
    expect(line).toContain(` > ${place(b, 8080)}`);
    expect(line).toContain(` > ${place(c, 9090)}`);
    expect((await metrics(b)).get(gauge)).toBe(0);
    expect(await readyz(b)).toEqual({ status: 200, text: "ready" });
  },
);

test("a socket that is bound to an interface is reset as well", async () => {
  const mesh = Mesh.create();
  const listening = await mesh.c.agent.listen("::", 9090);
  const bound = mesh.b.start(["curl", "--interface", "eth0", `http://${mesh.c.address4}:9090/`]);
  const server = await listening.accept();
  await mesh.proxy(mesh.b);
  expect((await server.finish()).ending).toBe("ECONNRESET");
  await bound.child.exited;
});

test("connections that the rules exempt survive the start, and a restart after SIGKILL", async () => {
  const mesh = Mesh.create();
  const { b, c } = mesh;
  await b.run(["ip", "addr", "add", "203.0.113.2/24", "dev", "eth0"]);
  await c.run(["ip", "addr", "add", "203.0.113.3/24", "dev", "eth0"]);
  const pairs = {
    "a permissive port": await pair(c, b, b.address4, 8081),
    "an audit port": await pair(c, b, b.address6, 8082),
    "a passthrough port": await pair(c, b, b.address4, 8083),
    "a probed port": await pair(c, b, b.address4, 8084),
    "an excluded outbound port": await pair(b, c, c.address4, 9091),
    "an excluded outbound range": await pair(b, c, c.address6, 9092),
    "outside of the mesh": await pair(b, c, "203.0.113.3", 9093),
    "within the pod": await pair(b, b, b.address4, 9094),
    "over loopback": await pair(b, b, "::1", 9095),
  };
  const users = await c.agent.listen("::", 9096);
  const user = b.start([
    "setpriv",
    "--reuid=4242",
    "--clear-groups",
    "bash",
    "-c",
    `exec 3<>/dev/tcp/${c.address4}/9096; while read -r line <&3; do echo "got $line"; done`,
  ]);
  const userServer = await users.accept();
  const options = [
    ...new PolicyFile(permissive).flags,
    "--exclude-uid",
    "4242",
    "--exclude-outbound-port=9091",
    `--exclude-cidr=${c.address6}/128`,
    "--probe=tcp:8084",
    `--probe-source=${c.address4}`,
  ];
  for (const turn of ["first", "second"]) {
    const proxy = await mesh.proxy(b, options);
    for (const [name, each] of Object.entries(pairs)) await isAlive(each, `${name} ${turn},`);
    await userServer.say(`${turn}\n`);
    await user.says(new RegExp(`got ${turn}`));
    expect(proxy.output).not.toMatch(warned);
    expect((await metrics(b)).get(gauge)).toBe(0);
    await proxy.end("SIGKILL");
  }
});

test("--preexisting leave names them, counts them while they last, and is ready", async () => {
  const mesh = Mesh.create();
  const { b, c } = mesh;
  const inward = await pair(c, b, b.address4, 8080);
  const outward = await pair(b, c, c.address6, 9090);
  const options = ["--preexisting", "leave"];
  const proxy = await mesh.proxy(b, options);
  expect(await proxy.says(warned)).toContain(
    "2 connections from before the start: left in cleartext",
  );
  for (const each of [inward, outward]) await isAlive(each, "on ");
  expect((await metrics(b)).get(gauge)).toBe(2);
  const ready = await readyz(b);
  expect(ready.status).toBe(200);
  expect(ready.text).toMatch(/^ready\n2 connections from before the start are still in cleartext/);
  const check = await b.run([...executable(), "check"]);
  expect(check.stdout).toContain("! connections in cleartext: 2 connections: ");

  await inward.client.end();
  await inward.server.end();
  await metricOnce(b, gauge, (value) => value === 1);
  await isAlive(outward, "still on ");
  expect((await readyz(b)).text).toContain("1 connection from before the start is still");

  // A restart names those that remain, and resets them with the other setting.
  await proxy.end("SIGKILL");
  const again = await mesh.proxy(b, options);
  expect(await again.says(warned)).toContain("1 connection from before the start: left");
  await again.end("SIGKILL");
  await mesh.proxy(b);
  expect((await outward.server.finish()).ending).toBe("ECONNRESET");
});

test("connections that a former proxy carried do not count as preexisting", async () => {
  const mesh = Mesh.create();
  await mesh.startProxies();
  await mesh.connection();
  for (const [at, pod] of [mesh.a, mesh.b].entries()) {
    await mesh.proxies[at]?.end("SIGKILL");
    const proxy = await mesh.proxy(pod);
    expect(proxy.output).not.toMatch(warned);
  }
  await mesh.connection();
});

test("on a host they are left, and rules --apply offers the same choice", async () => {
  const mesh = Mesh.create();
  const { b, c } = mesh;
  const { client, server } = await pair(c, b, b.address4, 8080);
  const scope = ["--host", "--mesh-cidr", "10.0.0.0/8", "--inbound-port", "8080"];
  const proxy = await mesh.proxy(b, scope);
  await proxy.says(/1 connection from before the start: left in cleartext/);
  await isAlive({ client, server }, "on");
  await proxy.end("SIGKILL");
  const apply = [...executable(), "rules", "--apply", ...scope, "--preexisting", "reset"];
  const { code, stderr } = await b.run(apply);
  expect([code, stderr]).toEqual([
    0,
    expect.stringContaining("1 connection from before") as string,
  ]);
  expect((await client.finish()).ending).toBe("ECONNRESET");
});

test("plain check names them and what the proxy would do when it starts, and changes nothing", async () => {
  const mesh = Mesh.create();
  const { b, c } = mesh;
  const each = await pair(c, b, b.address4, 8080);
  const check = [...executable(), "check", ...flagsOf(mesh.credentials(b))];
  const first = await b.run(check);
  expect(first.stdout).toContain(`! connections in cleartext: 1 connection: ${c.address4}:`);
  expect(first.stdout).toContain("They are reset when the proxy starts");
  expect((await b.run([...check, "--preexisting", "leave"])).stdout).toContain(
    "They stay in cleartext until they end: restart their applications after",
  );
  await isAlive(each, "on");
});

const permissive =
  "inbound: { ports: { 8081: { mode: permissive }, 8082: { mode: audit }, 8083: { mode: passthrough } } }\n";
