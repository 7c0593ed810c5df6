/** --probe-mode bypass: only the node's own addresses reach declared ports in cleartext, as without the proxy. */
import { beforeAll, describe, expect, test } from "bun:test";

import { deadlineMs } from "../support/deadline.ts";
import { serveHttp } from "../support/http.ts";
import { probe, type Question } from "../support/kubelet.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod, type Running } from "../support/pods.ts";
import { serveProbed } from "../support/probed.ts";
import { curl } from "../support/programs.ts";

const mesh = Mesh.create();
const { a, b, c } = mesh;
const node = mesh.extraPod();
const probes = "http:8080/healthz,tcp:5432,tcp:5433,tcp:5434,grpc:9000";
const sources = `${node.address4},${node.address6}`;
const options = ["--probe", probes, "--probe-source", sources, "--privileges", "kept"];

beforeAll(async () => {
  mesh.proxies.push(await mesh.proxy(a), await mesh.proxy(b, options));
  await serveProbed(b, "http", 8080);
  await serveProbed(b, "tcp", 5432);
  await serveProbed(b, "grpc", 9000);
  await serveHttp(b, 8081, "not declared");
});

const http = { kind: "http", port: 8080, timeoutMs: deadlineMs(5000) } as const;
const tcp = { kind: "tcp", port: 5432, timeoutMs: deadlineMs(5000) } as const;
const grpc = { kind: "grpc", port: 9000, timeoutMs: deadlineMs(5000) } as const;

describe.each(["address4", "address6"] as const)("over %s", (family) => {
  const host = b[family];
  const asked = async (question: Question, from = node): Promise<string> =>
    await probe(from, { ...question, host });

  test("the application answers HTTP probes, with its failures too", async () => {
    expect(await asked({ ...http, path: "/healthz?full=1" })).toBe("success: ok /healthz?full=1");
    expect(await asked({ ...http, path: "/moved" })).toBe("success: ok /healthz");
    expect(await asked({ ...http, path: "/away" })).toBe("warning: redirect to another host");
    expect(await asked({ ...http, path: "/broken" })).toBe("failure: status 500");
  });

  test("an application that hangs gives a time-out, not a success", async () => {
    expect(await asked({ ...http, path: "/hang", timeoutMs: 500 })).toBe("failure: timeout");
    expect(await asked({ ...grpc, service: "hung", timeoutMs: 500 })).toBe("failure: timeout");
  });

  test("a TCP probe succeeds only where the application listens", async () => {
    expect(await asked(tcp)).toBe("success: ");
    expect(await asked({ ...tcp, port: 5433 })).toBe("failure: ECONNREFUSED");
  });

  test("the application answers gRPC probes", async () => {
    expect(await asked({ ...grpc, service: "" })).toBe("success: SERVING");
    expect(await asked({ ...grpc, service: "unknown" })).toBe("failure: grpc-status 5");
  });

  test("another host that requests the probe's path gets nothing", async () => {
    expect(await asked({ ...http, path: "/healthz" }, c)).toBe("failure: EOF");
    expect(await asked({ ...grpc, service: "" }, c)).toStartWith("failure: ");
  });

  test("the node gets nothing from an undeclared port", async () => {
    expect(await asked({ ...http, port: 8081, path: "/healthz" })).toBe("failure: EOF");
  });

  test("peers still use mutual TLS on the same port", async () => {
    const url = `http://${family === "address4" ? host : `[${host}]`}:8080/peer`;
    expect((await curl(a, url)).output).toBe("ok /peer");
    await mesh.proxies[1]?.says(/peer=spiffe:\/\/test\.example\/host\/10\.77\.0\.1/);
  });

  test("connections from the application to the node are diverted", async () => {
    const [port, from] = family === "address4" ? [7004, "5433"] : [7006, "5434"];
    await serveHttp(node, port, "in clear");
    const url = `http://${family === "address4" ? node.address4 : `[${node.address6}]`}:${port}/`;
    expect((await curl(c, url)).output).toBe("in clear");
    expect((await curl(b, url)).output).not.toContain("clear");
    // From a declared port, like the answer to a probe.
    expect((await curl(b, "--local-port", from, url)).output).not.toContain("clear");
  });
});

test("a probe in progress survives a rewrite of the rules", async () => {
  const client = await node.agent.connect(b.address4, 5432);
  await b.run(["nft", "delete", "table", "inet", "tls-tproxy"]);
  expect(await mesh.proxies[1]?.says(/rules were restored.*/)).not.toContain("reset");
  await client.end();
  expect((await client.finish()).ending).toBe("end");
});

async function podWith(
  more: readonly string[],
  environment: readonly string[] = [],
): Promise<{ readonly pod: Pod; readonly proxy: Running }> {
  const pod = mesh.extraPod();
  const route = `ip route add default via ${node.address4}; ip -6 route add default via ${node.address6}`;
  await pod.run(["sh", "-c", route]);
  const flags = [...flagsOf(mesh.credentials(pod)), "--probe", "http:8080/healthz", ...more];
  const proxy = await pod.proxy(flags, ["env", ...environment]);
  await serveProbed(pod, "http", 8080);
  return { pod, proxy };
}

async function reaches(from: Pod, pod: Pod): Promise<readonly boolean[]> {
  const found: boolean[] = [];
  for (const host of [pod.address4, pod.address6]) {
    const answer = await probe(from, { ...http, path: "/healthz", host });
    found.push(answer === "success: ok /healthz");
  }
  return found;
}

test("gateway stands for the gateways of the pod's default routes", async () => {
  const { pod } = await podWith(["--probe-source", "gateway"]);
  expect(await reaches(node, pod)).toEqual([true, true]);
  expect(await reaches(c, pod)).toEqual([false, false]);
});

test("TPROXY_HOST_IPS names the node if no option does", async () => {
  const { pod } = await podWith([], [`TPROXY_HOST_IPS=${node.address4},${node.address6}`]);
  expect(await reaches(node, pod)).toEqual([true, true]);
  expect(await reaches(c, pod)).toEqual([false, false]);
  const { pod: other } = await podWith(
    ["--probe-source", c.address4],
    [`TPROXY_HOST_IPS=${node.address4}`],
  );
  expect(await reaches(node, other)).toEqual([false, false]);
  expect(await reaches(c, other)).toEqual([true, false]);
});

test("with probes but no source for them, the proxy does not start", async () => {
  const pod = mesh.extraPod();
  const flags = [...flagsOf(mesh.credentials(pod)), "--probe", "http:8080/healthz"];
  for (const more of [[], ["--probe-source", "gateway"]]) {
    const { code, stderr } = await pod.run([...executable(), ...flags, ...more]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--probe: .*Set --probe-source .*TPROXY_HOST_IPS/s);
  }
});

test("probes work unchanged after the proxy has ended", async () => {
  const { pod, proxy } = await podWith(["--probe-source", "gateway", "--privileges", "kept"]);
  await proxy.end();
  expect(await reaches(node, pod)).toEqual([true, true]);
  expect(await reaches(c, pod)).toEqual([false, false]);
});
