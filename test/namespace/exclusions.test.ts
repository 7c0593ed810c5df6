/** Excluded connections pass in cleartext, as without a proxy; each case has its control. */
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

const mesh = Mesh.create();
const { c } = mesh;
const outside = "169.254.77.3";

beforeAll(async () => {
  await c.run(["ip", "addr", "add", `${outside}/24`, "dev", "eth0"]);
  await serveHttp(c, 8080, "in clear");
  await serveHttp(c, 8081, "in clear");
});

async function podWith(
  options: readonly string[],
  environment: readonly string[] = [],
): Promise<Pod> {
  const pod = mesh.extraPod();
  await pod.proxy([...flagsOf(mesh.credentials(pod)), ...options], ["env", ...environment]);
  return pod;
}

/** The answer; "" if there is none. */
async function asked(pod: Pod, url: string, prefix: readonly string[] = []): Promise<string> {
  const command = ["curl", "--silent", "--max-time", "5", url];
  return (await pod.run([...prefix, ...command])).stdout;
}

const v4 = `http://${c.address4}:8080/`;
const v6 = `http://[${c.address6}]:8080/`;

test("control: without exclusions a peer without a proxy is not reached", async () => {
  const pod = await podWith([]);
  expect([await asked(pod, v4), await asked(pod, v6)]).toEqual(["", ""]);
});

test("--exclude-cidr leaves only these destinations alone", async () => {
  const pod = await podWith(["--exclude-cidr", `${c.address4}/32`]);
  expect([await asked(pod, v4), await asked(pod, v6)]).toEqual(["in clear", ""]);
});

test("--mesh-cidr replaces the private ranges", async () => {
  const pod = await podWith(["--mesh-cidr", "fd00::/8", "--exclude-cidr", "0.0.0.0/0"]);
  expect([await asked(pod, v4), await asked(pod, v6)]).toEqual(["in clear", ""]);
});

test("--exclude-outbound-port leaves only this port alone", async () => {
  const pod = await podWith(["--exclude-outbound-port", "8081"]);
  expect([await asked(pod, v4), await asked(pod, v4.replace("8080", "8081"))]).toEqual([
    "",
    "in clear",
  ]);
});

test("--exclude-uid leaves only this user alone", async () => {
  const pod = await podWith(["--exclude-uid", "4242"]);
  expect(await asked(pod, v4, ["setpriv", "--reuid=4242", "--clear-groups"])).toBe("in clear");
  expect(await asked(pod, v4, ["setpriv", "--reuid=4243", "--clear-groups"])).toBe("");
});

test("the API server from the environment is left alone, other ports of its address are not", async () => {
  const environment = [`KUBERNETES_SERVICE_HOST=${c.address4}`, "KUBERNETES_SERVICE_PORT=8081"];
  const pod = await podWith([], environment);
  expect([await asked(pod, v4), await asked(pod, v4.replace("8080", "8081"))]).toEqual([
    "",
    "in clear",
  ]);
});

test("link-local destinations are left alone even if the mesh is every address", async () => {
  const pod = await podWith(["--mesh-cidr", "0.0.0.0/0,::/0"]);
  await pod.run(["ip", "addr", "add", "169.254.77.9/24", "dev", "eth0"]);
  expect(await asked(pod, `http://${outside}:8080/`)).toBe("in clear");
  expect(await asked(pod, v4)).toBe("");
});

test("loopback and the pod's own addresses are left alone", async () => {
  const pod = await podWith(["--mesh-cidr", "0.0.0.0/0,::/0"]);
  await serveHttp(pod, 8080, "mine");
  for (const host of ["127.0.0.1", "[::1]", pod.address4, `[${pod.address6}]`])
    expect(await asked(pod, `http://${host}:8080/`)).toBe("mine");
});

test("--exclude-inbound-port opens only this port in cleartext", async () => {
  const pod = await podWith(["--exclude-inbound-port", "8081"]);
  await serveHttp(pod, 8080, "mine");
  await serveHttp(pod, 8081, "mine");
  for (const host of [pod.address4, `[${pod.address6}]`]) {
    expect(await asked(c, `http://${host}:8080/`)).toBe("");
    expect(await asked(c, `http://${host}:8081/`)).toBe("mine");
  }
});

test("--inbound-port leaves all other ports in cleartext", async () => {
  const pod = await podWith(["--inbound-port", "8081"]);
  await serveHttp(pod, 8080, "mine");
  await serveHttp(pod, 8081, "mine");
  expect(await asked(c, `http://${pod.address4}:8080/`)).toBe("mine");
  expect(await asked(c, `http://${pod.address4}:8081/`)).toBe("");
});

test("UDP and ICMP pass", async () => {
  const pod = await podWith(["--mesh-cidr", "0.0.0.0/0,::/0"]);
  const echo = `const s = await Bun.udpSocket({ hostname: "${c.address4}", port: 5353, socket: { data(s, d, p, a) { s.send(d, p, a); } } }); console.log("bound");`;
  await c.start(["bun", "-e", echo]).says(/bound/);
  const say = (port: number): string =>
    `exec 3<>/dev/udp/${c.address4}/${port}; echo hello >&3; timeout 4 head -n 1 <&3`;
  expect((await pod.run(["bash", "-c", say(5353)])).stdout).toBe("hello\n");
  // The port has no listener, and ICMP reports that.
  expect((await pod.run(["bash", "-c", say(5354)])).stderr).toContain("Connection refused");
});
