/** Only the node may probe: other hosts, also with a forged source address of the node, get nothing. */
import { beforeAll, describe, expect, test } from "bun:test";

import { deadlineMs } from "../support/deadline.ts";
import { probe } from "../support/kubelet.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import type { Pod, Running } from "../support/pods.ts";
import { PolicyFile } from "../support/policy.ts";
import { serveProbed } from "../support/probed.ts";

const mesh = Mesh.create();
const { c } = mesh;
const node = mesh.extraPod();
const sources = `${node.address4},${node.address6}`;
const declared = ["--probe", "http:8080/healthz,tcp:5432", "--probe-source", sources];

type Served = { pod: Pod; web: Running; database: Running };

async function serve(mode: string, ...more: readonly string[]): Promise<Served> {
  const pod = mesh.extraPod();
  const flags = [...flagsOf(mesh.credentials(pod)), ...declared, "--probe-mode", mode, ...more];
  await pod.proxy(flags);
  return {
    pod,
    web: await serveProbed(pod, "http", 8080),
    database: await serveProbed(pod, "tcp", 5432),
  };
}

/** Number of resets the node has sent, including those to answers that it did not ask for. */
async function resetsOfNode(): Promise<number> {
  const { stdout } = await node.run(["cat", "/proc/net/snmp"]);
  const [names, values] = stdout.split("\n").filter((line) => line.startsWith("Tcp:"));
  const at = names?.split(" ").indexOf("OutRsts") ?? -1;
  return Number(values?.split(" ")[at]);
}

function shown(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

async function impostor(from: Pod, source: string, destination: string): Promise<string> {
  const script = `${import.meta.dir}/../support/impostor.ts`;
  return (await from.run(["bun", script, source, destination])).stdout.trim();
}

describe.each(["bypass", "inspect"])("with probe mode %s", (mode) => {
  let served: Served;

  beforeAll(async () => {
    served = await serve(mode);
  });

  test.each(["address4", "address6"] as const)(
    "another host gets nothing over %s",
    async (family) => {
      const ask = { host: served.pod[family], timeoutMs: deadlineMs(4000) };
      const http = { ...ask, kind: "http", port: 8080, path: "/healthz" } as const;
      expect(await probe(node, http)).toBe("success: ok /healthz");
      const before = served.web.output;
      expect(await probe(c, http)).toStartWith("failure: E");
      expect(served.web.output).toBe(before);
    },
  );

  test.each(["address4", "address6"] as const)(
    "a forged address gets nothing over %s",
    async (family) => {
      // This fills the neighbour and bridge tables.
      const ask = {
        kind: "tcp",
        port: 8080,
        host: served.pod[family],
        timeoutMs: deadlineMs(4000),
      } as const;
      await Promise.all([node, c].map(async (from) => await probe(from, ask)));
      const before = [served.web.output, served.database.output];
      for (const port of [8080, 5432]) {
        const resets = await resetsOfNode();
        const to = `${shown(served.pod[family])}:${port}`;
        expect(await impostor(c, `${shown(node[family])}:40000`, to)).not.toBe("established");
        // The segment was sent, and the answer went to the forged address.
        expect(await resetsOfNode()).toBeGreaterThan(resets);
      }
      expect([served.web.output, served.database.output]).toEqual(before);
      // Control: the same program with its own address.
      const to = `${shown(served.pod[family])}:5432`;
      expect(await impostor(node, `${shown(node[family])}:40000`, to)).toBe("established");
    },
  );
});

test("a port that admits cleartext is unchanged, and probes survive a policy change", async () => {
  const policy = new PolicyFile("inbound: { ports: { 8080: { mode: audit } } }");
  const { pod, web } = await serve("inspect", ...policy.flags);
  const ask = {
    kind: "http",
    port: 8080,
    timeoutMs: deadlineMs(4000),
    host: pod.address4,
  } as const;
  expect(await probe(node, { ...ask, path: "/secret" })).toBe("success: ok /secret");
  expect(await probe(c, { ...ask, path: "/secret" })).toBe("success: ok /secret");
  policy.write("inbound: { mode: strict }");
  for (;;) if ((await probe(c, { ...ask, path: "/late" })).startsWith("failure")) break;
  expect(await probe(node, { ...ask, path: "/healthz" })).toBe("success: ok /healthz");
  expect(await probe(node, { ...ask, kind: "tcp", port: 5432 })).toBe("success: ");
  expect(await probe(node, { ...ask, path: "/strict" })).toStartWith("failure: E");
  expect(web.output).not.toContain("/strict");
});
