/** Probes from the node, as the kubelet makes them, through the image and with a sidecar's privileges only. */
import { expect, test } from "bun:test";

import { Cluster, type Pod } from "../support/containers.ts";
import { deadlineMs } from "../support/deadline.ts";
import type { Question, Result } from "../support/kubelet.ts";
import type { Output } from "../support/pods.ts";

const cluster = await Cluster.create();
const c = await cluster.pod("c");
const probes = "http:8090/healthz,tcp:8090,grpc:5000,tcp:5001";

/** The engine's bridge is the pod's gateway, and the node's probes come from its address. */
async function served(mode: string): Promise<Pod> {
  const pod = await cluster.pod(mode);
  const options = ["--probe", probes, "--probe-source", "gateway", "--probe-mode", mode];
  await pod.proxy({ credentials: cluster.certificate(pod), options });
  for (const [kind, port] of [
    ["http", "8090"],
    ["grpc", "5000"],
  ] as const)
    await pod.start("bun", "/tests/probed.ts", kind, port).says(/serving/);
  return pod;
}

const pods = { bypass: await served("bypass"), inspect: await served("inspect") };

function resultOf({ stdout, stderr }: Output): string {
  if (stdout === "") throw new Error(stderr);
  const { result, output } = JSON.parse(stdout) as Result;
  return `${result}: ${output}`;
}

async function asked(host: string, question: Question): Promise<string> {
  const ask = JSON.stringify({ ...question, host });
  return resultOf(await cluster.node("bun", "/tests/kubelet.ts", ask));
}

const timeoutMs = deadlineMs(10_000);
const http = { kind: "http", port: 8090, path: "/healthz", timeoutMs } as const;

test.each([
  ["bypass", "address4"],
  ["bypass", "address6"],
  ["inspect", "address4"],
  ["inspect", "address6"],
] as const)("with probe mode %s the node probes over %s", async (mode, family) => {
  const host = pods[mode][family];
  expect(await asked(host, http)).toBe("success: ok /healthz");
  expect(await asked(host, { kind: "tcp", port: 8090, timeoutMs })).toBe("success: ");
  expect(await asked(host, { kind: "grpc", port: 5000, service: "", timeoutMs })).toBe(
    "success: SERVING",
  );
  expect(await asked(host, { kind: "tcp", port: 5001, timeoutMs })).toBe("failure: ECONNREFUSED");
});

test.each(["bypass", "inspect"] as const)(
  "with probe mode %s another pod gets nothing",
  async (mode) => {
    const ask = JSON.stringify({ ...http, host: pods[mode].address4 });
    expect(resultOf(await c.exec("bun", "/tests/kubelet.ts", ask))).toStartWith("failure: E");
  },
);

test("with probe mode inspect the node gets nothing but answers to probes", async () => {
  const other = { ...http, path: "/secret" };
  expect(await asked(pods.inspect.address4, other)).toStartWith("failure: E");
  expect(await asked(pods.bypass.address4, other)).toBe("success: ok /secret");
  for (const { address4 } of [pods.bypass, pods.inspect])
    expect(await asked(address4, { ...http, port: 8080, path: "/" })).toStartWith("failure: E");
});
