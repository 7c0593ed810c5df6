/** With a part of the rules gone, captured connections are dropped: never sent in clear. */
import { beforeAll, expect, test } from "bun:test";

import { serveHttp } from "../support/http.ts";
import { keeperOf } from "../support/keeper.ts";
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
])("without %s nothing leaves in clear", async (_, damage) => {
  const pod = mesh.extraPod();
  const proxy = await mesh.proxy(pod);
  // What stands where nobody puts it back.
  process.kill(keeperOf(proxy), "SIGKILL");
  await proxy.says(/the keeper of the rules has ended/);
  expect((await pod.run(["sh", "-ec", damage])).stderr).toBe("");
  expect(await asked(pod, mesh.c.address4)).toBe("");
  expect(await asked(pod, `[${mesh.c.address6}]`)).toBe("");
  await rules(pod, "--remove", "--force");
  expect(await asked(pod, mesh.c.address4)).toBe("in clear");
  expect(await asked(pod, `[${mesh.c.address6}]`)).toBe("in clear");
});

test("a proxy killed with -9 leaves both directions shut until the rules are removed", async () => {
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
