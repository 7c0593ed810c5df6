/** A start that fails ends with one line that says why, and leaves the kernel as it found it. */
import { expect, test } from "bun:test";

import { kernelState, makeForeign } from "../support/kernel-state.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable, type Pod } from "../support/pods.ts";

const mesh = Mesh.create();

async function taken(pod: Pod, host: string, port: number): Promise<void> {
  await pod.agent.listen(host, port);
}

test("where lo is down it says so", async () => {
  const pod = mesh.extraPod();
  await pod.run(["ip", "link", "set", "lo", "down"]);
  const before = await kernelState(pod);
  const proxy = pod.start([...executable(), ...flagsOf(mesh.credentials(pod))]);
  expect(await proxy.child.exited).toBe(1);
  await proxy.says(/ip link set lo up/);
  expect(await kernelState(pod)).toBe(before);
});

const noNetAdmin = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];

test.each([
  ["the TCP port is in use", 1, [], /--tcp-port/],
  ["the TLS port is in use", 2, [], /--tls-port/],
  ["the status port is in use", 15_020, [], /--status-address/],
  ["CAP_NET_ADMIN is missing", null, noNetAdmin, /NET_ADMIN/],
] as const)("when %s nothing is left", async (_, port, prefix, reason) => {
  const pod = mesh.extraPod();
  await makeForeign(pod);
  if (port !== null) await taken(pod, port === 15_020 ? "0.0.0.0" : "127.0.0.1", port);
  const before = await kernelState(pod);
  const proxy = pod.start([...prefix, ...executable(), ...flagsOf(mesh.credentials(pod))]);
  expect(await proxy.child.exited).toBe(1);
  await proxy.says(reason);
  expect(proxy.output.trim().split("\n")).toHaveLength(1);
  expect(await kernelState(pod)).toBe(before);
});
