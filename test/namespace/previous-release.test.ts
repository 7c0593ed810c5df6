/**
 * The previous release and this one must work together, because two pods are never updated at the same moment.
 */
import { existsSync } from "node:fs";
import { describe, expect, test } from "bun:test";

import { flagsOf, Mesh } from "../support/mesh.ts";
import { patternDigest } from "../support/pattern.ts";
import type { Pod, Running } from "../support/pods.ts";
import { askOnce, serveMirror } from "../support/sights.ts";
import { metricOnce } from "../support/status.ts";

const previous = `${import.meta.dir}/../../bin/previous/tproxy`;
if (!existsSync(previous)) throw new Error(`no ${previous}: run scripts/previous.sh`);

const bytes = 20_000_000;

describe.each([
  ["the previous release to this one", true],
  ["this one to the previous release", false],
])("%s", (_, clientIsPrevious) => {
  const mesh = Mesh.create();
  const started = start(mesh, clientIsPrevious);

  test.each(["address4", "address6"] as const)(
    "%s: bytes both ways, and a half-close",
    async (of) => {
      await started;
      const { client, server } = await mesh.connection(mesh.b[of]);
      const pumps = Promise.all([client.write(bytes), server.write(bytes)]);
      await pumps;
      await client.end();
      const atServer = await server.finish();
      await server.say("after the client's end");
      await server.end();
      const atClient = await client.finish();
      expect([atServer.sha256, atServer.ending]).toEqual([patternDigest(bytes), "end"]);
      expect(atClient.bytes).toBe(bytes + "after the client's end".length);
      expect(atClient.ending).toBe("end");
    },
  );

  test("a reset arrives as a reset", async () => {
    await started;
    const { client, server } = await mesh.connection(mesh.b.address4, mesh.a, "x");
    await server.received(1);
    await client.reset();
    expect((await server.finish()).ending).toBe("ECONNRESET");
  });

  test("the application sees its client's own address and port", async () => {
    await started;
    await serveMirror(mesh.b, 8090);
    const { own, seen } = await askOnce(mesh.a, { host: mesh.b.address4, port: 8090 });
    expect(own).toMatch(/:\d+$/);
    expect(seen).toBe(own);
  });

  test("sessions are resumed", async () => {
    await started;
    const [client] = await started;
    await serveMirror(mesh.b, 8091);
    for (let turn = 0; turn < 3; turn += 1)
      await askOnce(mesh.a, { host: mesh.b.address4, port: 8091 });
    expect(client.child.exitCode).toBeNull();
    // The previous release's metrics have no prefix.
    const prefix = clientIsPrevious ? "" : "tproxy_";
    const resumed = `${prefix}handshake_resumptions_total{direction="outbound"}`;
    await metricOnce(mesh.a, resumed, (count) => count > 0);
  });
});

/** Both proxies, once ready: pod a's first. */
async function start(mesh: Mesh, clientIsPrevious: boolean): Promise<readonly [Running, Running]> {
  const run = async (pod: Pod, isPrevious: boolean): Promise<Running> => {
    if (!isPrevious) return await mesh.proxy(pod);
    const running = pod.start([previous, ...flagsOf(mesh.credentials(pod))]);
    await running.says(/\] ready/);
    return running;
  };
  return await Promise.all([run(mesh.a, clientIsPrevious), run(mesh.b, !clientIsPrevious)]);
}
