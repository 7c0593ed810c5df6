/** `tls-tproxy ready` repeats the answer of /readyz, for health checks in an image without other programs. */
import { expect, test } from "bun:test";

import { repairProcessOf } from "../support/repair-process.ts";
import { flagsOf, Mesh } from "../support/mesh.ts";
import { executable } from "../support/pods.ts";

const mesh = Mesh.create();

test("it waits for a proxy that is starting", async () => {
  const pod = mesh.extraPod();
  const waiting = pod.start([...executable(), "ready", "--wait", "60s"]);
  pod.start([...executable(), ...flagsOf(mesh.credentials(pod))]);
  expect(await waiting.child.exited).toBe(0);
  await waiting.says(/^ready\n$/);
});

test("its exit code is 1 without a proxy, and while the proxy is not ready", async () => {
  const pod = mesh.extraPod();
  const ready = [...executable(), "ready"];
  const none = await pod.run(ready);
  expect([none.code, none.stdout]).toEqual([1, "no proxy answers here (--status-address)\n"]);
  const proxy = await mesh.proxy(pod, ["--status-address", "[::1]:15021"]);
  const there = [...ready, "--status-address", "[::1]:15021"];
  expect((await pod.run(there)).code).toBe(0);
  process.kill(repairProcessOf(proxy), "SIGKILL"); // It would restore the rules.
  await proxy.says(/repair process/);
  await pod.run(["nft", "delete", "table", "inet", "tls-tproxy"]);
  let last = await pod.run([...there, "--wait", "1ms"]);
  while (last.code === 0) last = await pod.run(there);
  expect([last.code, last.stdout]).toEqual([
    1,
    expect.stringContaining("rules are no longer") as string,
  ]);
});

test("a missing or malformed answer gives exit code 1", async () => {
  const pod = mesh.extraPod();
  await pod.agent.listen("127.0.0.1", 15_020);
  const { code, stdout } = await pod.run([...executable(), "ready"]);
  expect([code, stdout]).toEqual([1, "no proxy answers here (--status-address)\n"]);
});
