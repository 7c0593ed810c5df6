/** With a part of the rules missing, captured connections are dropped, never sent in cleartext. */
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { repairProcessOf } from "../support/repair-process.ts";
import { rules } from "../support/kernel-state.ts";
import { Mesh } from "../support/mesh.ts";
import type { Pod } from "../support/pods.ts";

const mesh = Mesh.create();

beforeAll(async () => {
  await serveHttp(mesh.c, 8080, "in clear");
});

async function asked(from: Pod, host: string): Promise<string> {
  const command = ["curl", "--silent", "--max-time", "2", `http://${host}:8080/`];
  return (await from.run(command)).stdout;
}

test.each([
  ["the routing rules", "ip rule del priority 100; ip -6 rule del priority 100"],
  ["the routes to lo", "ip route flush table 29808; ip -6 route flush table 29808"],
  ["the chain that diverts", "nft flush chain inet tls-tproxy prerouting"],
  [
    "the ranges of the mesh",
    "nft flush set inet tls-tproxy mesh4; nft flush set inet tls-tproxy mesh6",
  ],
])("without %s nothing leaves in cleartext", async (_, damage) => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod);
  // Without the repair process the damage stays.
  process.kill(repairProcessOf(proxy), "SIGKILL");
  await proxy.says(/the repair process has ended/);
  expect((await pod.run(["sh", "-ec", damage])).stderr).toBe("");
  expect(await asked(pod, mesh.c.address4)).toBe("");
  expect(await asked(pod, `[${mesh.c.address6}]`)).toBe("");
  await rules(pod, "--remove", "--force");
  expect(await asked(pod, mesh.c.address4)).toBe("in clear");
  expect(await asked(pod, `[${mesh.c.address6}]`)).toBe("in clear");
});

test("a proxy killed by SIGKILL leaves both directions closed until the rules are removed", async () => {
  const pod = mesh.extraPod();
  await serveHttp(pod, 8080, "mine");
  const proxy = await mesh.proxy(pod);
  await proxy.end("SIGKILL");
  expect(await asked(pod, mesh.c.address4)).toBe("");
  expect(await asked(mesh.c, pod.address4)).toBe("");
  expect(await asked(mesh.c, `[${pod.address6}]`)).toBe("");
  await rules(pod, "--remove");
  expect(await asked(pod, mesh.c.address4)).toBe("in clear");
  expect(await asked(mesh.c, pod.address4)).toBe("mine");
});
