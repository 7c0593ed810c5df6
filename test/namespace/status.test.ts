/** The status address reports liveness and readiness in cleartext to any client. */
import { beforeAll, expect, test } from "bun:test";

import { flagsOf, Mesh } from "../support/mesh.ts";
import { curl } from "../support/programs.ts";
import { serveHttp } from "../support/http.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await mesh.startProxies();
});

test.each(["IPv4", "IPv6"])("/readyz answers 200 to another pod over %s", async (family) => {
  const host = family === "IPv4" ? mesh.b.address4 : `[${mesh.b.address6}]`;
  const { output } = await curl(mesh.c, "-w", "%{http_code}", `http://${host}:15020/readyz`);
  expect(output).toBe("ready\n200");
});

test("a pod with a proxy can query another pod's status with --exclude-outbound-port", async () => {
  const pod = mesh.extraPod();
  await pod.proxy([...flagsOf(mesh.credentials(pod)), "--exclude-outbound-port", "15020"]);
  const { output } = await curl(pod, `http://${mesh.b.address4}:15020/readyz`);
  expect(output).toBe("ready\n");
});

test("/healthz answers 200, other paths 404, other methods 405, and nothing changes", async () => {
  const url = `http://127.0.0.1:15020`;
  const codes: string[] = [];
  for (const request of [["/healthz"], ["/"], ["/readyz", "-X", "POST"]]) {
    const [path = "", ...options] = request;
    const body = ["-o", "/dev/null", "-w", "%{http_code}", ...options];
    codes.push((await curl(mesh.b, ...body, url + path)).output);
  }
  expect(codes).toEqual(["200", "404", "405"]);
});

test("the address can be changed, and the old port is then intercepted", async () => {
  const pod = mesh.extraPod();
  await pod.proxy([...flagsOf(mesh.credentials(pod)), "--status-address", "127.0.0.1:9000"]);
  expect((await curl(pod, "http://127.0.0.1:9000/readyz")).output).toBe("ready\n");
  await serveHttp(pod, 15_020, "an application");
  expect((await curl(mesh.c, `http://${pod.address4}:15020/`)).code).not.toBe(0);
  expect((await curl(mesh.a, `http://${pod.address4}:15020/`)).output).toBe("an application");
});
