/** --outbound-port, port ranges and groups: what is diverted and what is left alone, for both families. */
import { beforeAll, describe, expect, test } from "bun:test";

import { serveHttpOn } from "../support/http.ts";
import { Mesh } from "../support/mesh.ts";
import { executable, type Pod } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { askOnce, serveMirror } from "../support/sights.ts";
import { metricOnce } from "../support/status.ts";

const mesh = Mesh.create();
const { c } = mesh;
const both = [c.address4, c.address6];
const ports = [8079, 8080, 8085, 8090, 8091] as const;

beforeAll(async () => {
  await serveHttpOn(c, ports, "in clear");
});

async function podWith(...options: readonly string[]): Promise<Pod> {
  const pod = mesh.extraPod();
  await mesh.proxy(pod, options);
  return pod;
}

/** The host's ports that answer in cleartext. */
async function answering(
  from: Pod,
  host: string,
  prefix: readonly string[] = [],
): Promise<readonly number[]> {
  const asked = ports.map(async (port) => {
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/`;
    const curl = ["curl", "--silent", "--max-time", "5", url];
    return (await from.run([...prefix, ...curl])).stdout === "" ? [] : [port];
  });
  return (await Promise.all(asked)).flat();
}

function as(...ids: readonly string[]): readonly string[] {
  return ["setpriv", ...ids, "--clear-groups"];
}

describe("outbound", () => {
  test.each([
    ["control: no scope", [], []],
    ["one port", ["--outbound-port", "8080"], [8079, 8085, 8090, 8091]],
    ["a range", ["--outbound-port", "8080-8090"], [8079, 8091]],
    ["a range and a port", ["--outbound-port", "8080-8085,8091"], [8079, 8090]],
    ["an excluded range", ["--exclude-outbound-port", "8080-8090"], [8080, 8085, 8090]],
    [
      "a scope, and a port out of it",
      ["--outbound-port", "8000-8089,8091-8099", "--exclude-outbound-port", "8090"],
      [8090],
    ],
  ] as const)("%s", async (_, options, clear) => {
    const pod = await podWith(...options);
    for (const host of both) expect(await answering(pod, host)).toEqual([...clear]);
  });

  test("a scope in the policy replaces the option's, and cleartext connections in it are reset", async () => {
    const policy = new PolicyFile("outbound: { ports: [9000] }");
    const pod = await podWith("--outbound-port", "8080", ...policy.flags);
    for (const host of both) expect(await answering(pod, host)).toEqual([...ports]);
    const listener = await c.agent.listen("::", 8100);
    const clear = await Promise.all(both.map(async (host) => await pod.agent.connect(host, 8100)));
    const servers = await Promise.all([listener.accept(), listener.accept()]);
    policy.write("outbound: { ports: [8080-8100] }");
    for (const one of servers) expect((await one.finish()).ending).toBe("ECONNRESET");
    for (const one of clear) expect((await one.finish()).ending).not.toBe("end");
    await metricOnce(pod, "tproxy_cleartext_connections_reset_total", (count) => count === 2);
    for (const host of both) expect(await answering(pod, host)).toEqual([8079]);
  });

  test("an excluded group, and the only selected group", async () => {
    const [excluding, only] = [
      await podWith("--exclude-gid", "4242"),
      await podWith("--only-gid", "4242", "--only-uid", "4343"),
    ];
    for (const host of both) {
      expect(await answering(excluding, host, as("--regid=4242"))).toEqual([...ports]);
      expect(await answering(excluding, host, as("--regid=4243"))).toEqual([]);
      expect(await answering(only, host, as("--regid=4242"))).toEqual([]);
      expect(await answering(only, host, as("--reuid=4343", "--regid=4343"))).toEqual([]);
      expect(await answering(only, host, as("--regid=4243"))).toEqual([...ports]);
    }
  });

  test("check reports that the other ports of the mesh are in cleartext", async () => {
    const { stdout } = await mesh
      .extraPod()
      .run([...executable(), "check", "--outbound-port", "80-90"]);
    expect(stdout).toContain(
      "outbound only ports 80-90 (--outbound-port): connections to others are in cleartext",
    );
  });

  test("why says which ports are in the scope", async () => {
    const pod = mesh.extraPod();
    const why = async (port: number): Promise<string> =>
      (
        await pod.run([
          ...executable(),
          "why",
          `${c.address4}:${port}`,
          "--outbound-port",
          "8080-8090",
        ])
      ).stdout;
    expect(await why(8085)).toContain("mutual TLS, or reset");
    expect(await why(8091)).toContain("port 8091 is not one of 8080-8090 (--outbound-port)");
  });
});

test("inbound: excluded ranges, and ranges as the whole scope", async () => {
  const [open, only] = [
    await podWith("--exclude-inbound-port", "8080-8090"),
    await podWith("--inbound-port", "8080-8090"),
  ];
  for (const pod of [open, only]) await serveHttpOn(pod, ports, "mine");
  for (const host of [open.address4, open.address6])
    expect(await answering(c, host)).toEqual([8080, 8085, 8090]);
  for (const host of [only.address4, only.address6])
    expect(await answering(c, host)).toEqual([8079, 8091]);
});

test("with an outbound scope the application still sees clients whose ports are outside it", async () => {
  const pod = await podWith("--outbound-port", "443", "--inbound-port", "8080-8090");
  const client = await podWith();
  await serveMirror(pod, 8085);
  for (const host of [pod.address4, pod.address6]) {
    const { own, seen, at } = await askOnce(client, { host, port: 8085 });
    expect(seen).toBe(own);
    expect(at).toContain(host);
  }
});
