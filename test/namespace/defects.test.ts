/** The original program's defects, by number: none exists here. */
import { beforeAll, expect, test } from "bun:test";

import { kernelState } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod, type Running } from "../support/pods.ts";
import { curl } from "../support/programs.ts";
import { serveHttp } from "../support/http.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
  await serveHttp(mesh.b, 8000, "hello from b");
});

test("B1: servers are verified with --ca-cert alone", async () => {
  expect(await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).toEqual({
    code: 0,
    output: "hello from b",
  });
});

test("B2: a client that half-closes gets its answer, and one whose server closes first gets the end", async () => {
  const { client, server } = await mesh.connection();
  await client.say("request");
  await client.end();
  await server.finish();
  await server.say("answer");
  await server.end();
  expect(await client.finish()).toMatchObject({ text: "answer", ending: "end" });
});

test("B3: twenty finished requests leave no socket", async () => {
  for (let count = 0; count < 20; count += 1)
    expect((await curl(mesh.a, `http://${mesh.b.address4}:8000/`)).code).toBe(0);
  expect(await mesh.socketsLeft()).toEqual([]);
});

test("B4: IPv6 is carried like IPv4", async () => {
  const before = mesh.proxies[1]?.output.length ?? 0;
  const { code, output } = await curl(mesh.a, `http://[${mesh.b.address6}]:8000/`);
  expect([code, output]).toEqual([0, "hello from b"]);
  await mesh.proxies[1]?.says(new RegExp(`Closed connection from \\[${mesh.a.address6}\\]`));
  expect(mesh.proxies[1]?.output.slice(before)).toContain("peer=spiffe://");
});

test("B5: a service on 127.0.0.1 only is hidden, one on the pod's address only is reached", async () => {
  await mesh.b.agent.listen("127.0.0.1", 9903);
  expect(await mesh.a.agent.attempt(mesh.b.address4, 9903)).toBe("ECONNRESET");
  const listener = await mesh.b.agent.listen(mesh.b.address4, 9904);
  const shown = await mesh.a.agent.connect(mesh.b.address4, 9904);
  const server = await listener.accept();
  await Promise.all([shown.end(), server.end()]);
  expect((await server.finish()).ending).toBe("end");
});

test("B6: connections to the proxy's own ports do not multiply", async () => {
  for (let count = 0; count < 50; count += 1) {
    expect(await mesh.b.agent.attempt("127.0.0.1", 1)).toBe("ECONNRESET");
  }
  expect(await mesh.socketsLeft()).toEqual([]);
});

test("B7: running out of descriptors ends connections, not the proxy", async () => {
  const pod = mesh.extraPod();
  const flags = flagsOf(mesh.credentials(pod));
  const proxy = await pod.proxy(flags, ["prlimit", "--nofile=256:256"]);
  await Promise.all(
    Array.from({ length: 400 }, async () => await mesh.a.agent.attempt(pod.address4, 9)),
  );
  await serveHttp(pod, 8000, "still here");
  expect(
    (await curl(mesh.a, "--retry", "5", "--retry-all-errors", `http://${pod.address4}:8000/`))
      .output,
  ).toBe("still here");
  expect(await proxy.end()).toBe(0);
});

test.each(["SIGTERM", "SIGINT"] as const)("B8: %s ends the proxy cleanly", async (signal) => {
  const pod = mesh.extraPod();
  const before = await kernelState(pod);
  const proxy = await mesh.proxy(pod, ["--remove-rules-on-exit"]);
  expect(await kernelState(pod)).not.toBe(before);
  expect(await proxy.end(signal)).toBe(0);
  expect(await kernelState(pod)).toBe(before);
});

test("B10: repeated starts do not add a second ip rule", async () => {
  const pod = mesh.extraPod();
  await (await mesh.proxy(pod)).end();
  const once = await kernelState(pod);
  await (await mesh.proxy(pod)).end("SIGKILL");
  await (await mesh.proxy(pod)).end();
  expect(await kernelState(pod)).toBe(once);
  expect(once.match(/fwmark/g)).toHaveLength(2);
});

test("B11: a port in use prevents the start; the message names the flag, and nothing is left behind", async () => {
  const pod = mesh.extraPod();
  await pod.agent.listen("127.0.0.1", 1);
  const before = await kernelState(pod);
  const command = [...executable(), ...flagsOf(mesh.credentials(pod))];
  const { code, stderr } = await pod.run(command);
  expect(code).toBe(1);
  expect(stderr).toMatch(/--tcp-port 1 .*EADDRINUSE/);
  expect(await kernelState(pod)).toBe(before);
});

test("B15: a CA file without a certificate prevents the start, and the message names the flag", async () => {
  const pod = mesh.extraPod();
  const paths = mesh.credentials(pod);
  const command = [...executable(), ...flagsOf({ ...paths, authority: "/dev/null" })];
  const { code, stderr } = await pod.run(command);
  expect(code).toBe(1);
  expect(stderr).toContain("--ca-cert");
});

test("B16: the listeners exist before the first rule, and without them no rule is made", async () => {
  const pod = mesh.extraPod();
  const monitor = await monitorOf(pod);
  await pod.agent.listen("::1", 2);
  const command = [...executable(), ...flagsOf(mesh.credentials(pod))];
  expect((await pod.run(command)).code).toBe(1);
  await pod.run(["nft", "add table inet marker"]);
  await monitor.says(/add table inet marker/);
  expect(monitor.output).not.toContain("tls-tproxy");
});

test("control: the same monitor sees a successful start", async () => {
  const pod = mesh.extraPod();
  const monitor = await monitorOf(pod);
  await mesh.proxy(pod);
  await monitor.says(/add table inet tls-tproxy/);
});

/**
 * A running `nft monitor`. It does not print when it is ready, so a table is added and removed until it reports one.
 */
async function monitorOf(pod: Pod): Promise<Running> {
  const monitor = pod.start(["nft", "monitor"]);
  while (!monitor.output.includes("add table inet hello"))
    await pod.run(["nft", "add table inet hello; delete table inet hello"]);
  return monitor;
}
